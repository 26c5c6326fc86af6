"""What a branch sees of a row of features: the view of its columns, their scaling, and both as a model's input."""
