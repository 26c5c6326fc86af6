"""Networks, their losses and the file of a model. Of this package, they import only the errors."""
