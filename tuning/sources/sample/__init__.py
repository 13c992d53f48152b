"""Generate questions and answers from the documentation of the running interpreter's standard library."""
