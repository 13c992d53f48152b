"""Read and write Cloud Storage objects, or the local files that stand for them."""
