"""Give models and datasets to other programs and people: exported folders, and repositories on the Hugging Face hub."""
