"""Find and fetch base models."""
