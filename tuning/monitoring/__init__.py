"""Measure the drift between datasets, and show the history of runs."""
