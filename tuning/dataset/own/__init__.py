"""Read a user's own examples from files, and make a snapshot of them that datasets are created from."""
