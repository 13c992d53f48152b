"""Name the language of a block of code by its content."""
