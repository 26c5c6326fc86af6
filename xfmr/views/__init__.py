"""Views: the values that a detector reads from a row of features, and their scaling."""
