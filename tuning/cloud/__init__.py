"""What a Google Cloud project needs before a run, and what a run costs."""
