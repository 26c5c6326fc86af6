"""Stage two: scores in a file for each sensor, thresholds, pseudo-labels and the review queue."""
