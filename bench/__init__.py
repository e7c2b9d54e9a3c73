"""Benchmarks against the targets of the house: `python -m bench`."""
