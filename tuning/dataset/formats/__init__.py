"""Write and read the JSONL formats, and check the limits of each target."""
