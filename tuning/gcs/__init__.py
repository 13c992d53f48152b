"""Read and write Cloud Storage objects, or the local files that replace them."""
