"""Scores: from a detector to a file a sensor, in sets that are published whole."""
