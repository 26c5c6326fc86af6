"""The history that stage one learns from: read, cleaned and cut into folds."""
