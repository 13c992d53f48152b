"""Create JSONL datasets from the mart: export, clean, deduplicate, split, encode, and describe them."""
