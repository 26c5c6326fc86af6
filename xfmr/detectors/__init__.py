"""Detectors: what scores a record; higher is more abnormal."""
