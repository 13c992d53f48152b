"""Read how passwords are written: as strings of many languages, in markup, in blocks, and on standard input."""
