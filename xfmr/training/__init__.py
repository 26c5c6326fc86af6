"""Training: one train loop, a task for each stage, and trainers that run it on a cluster or in this process."""
