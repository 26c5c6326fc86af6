"""Stage two: a file of scores for each sensor, thresholds, pseudo-labels and the review queue."""
