"""Check and set up a Google Cloud project, and estimate the cost of a run."""
