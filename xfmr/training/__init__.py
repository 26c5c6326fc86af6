"""Train loops for Ray Train workers, and the settings of each stage."""
