"""Go from the source to a release in one pipeline, `refresh_python_qa`."""
