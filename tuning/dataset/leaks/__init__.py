"""Check the written files for ids and texts that are in both splits."""
