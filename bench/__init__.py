"""Measurements, apart from the tests: times vary from machine to machine and from run to run."""
