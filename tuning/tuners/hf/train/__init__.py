"""Train a model and save it."""
