"""Stage three: a fault classifier, trained on people's labels and pseudo-labels."""
