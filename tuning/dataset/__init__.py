"""From the mart to JSONL: export, clean, dedup, split, formats, manifest, card."""
