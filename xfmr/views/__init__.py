"""What a detector sees of a row of features: columns, scaling, spectra and mains lines."""
