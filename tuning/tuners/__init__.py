"""What tunes a model on a dataset, behind one protocol."""
