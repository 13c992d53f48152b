"""Generate and score answers with a local model."""
