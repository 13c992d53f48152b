"""Release a model and record the run."""
