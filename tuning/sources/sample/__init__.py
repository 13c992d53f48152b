"""Questions and answers made from the documentation of the running interpreter's standard library."""
