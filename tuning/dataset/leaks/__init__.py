"""Check the written files for text that is in both splits."""
