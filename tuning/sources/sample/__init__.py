"""Hold the questions and answers that were written for this project."""
