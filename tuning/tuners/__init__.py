"""Tune models on a dataset. Every tuner follows one protocol."""
