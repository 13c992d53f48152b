"""Fill the raw tables locally, from a Stack Exchange dump or from a sample of the standard library's docs."""
