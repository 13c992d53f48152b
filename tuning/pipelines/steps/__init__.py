"""Do the work of each pipeline step."""
