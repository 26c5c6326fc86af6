"""Stage three: a fault classifier, learned from people's labels and pseudo-labels."""
