"""Benchmarks. They are no tests: times vary between machines and between runs."""
