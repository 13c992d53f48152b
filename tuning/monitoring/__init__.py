"""Drift between datasets and the history of runs."""
