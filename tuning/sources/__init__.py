"""Fill the raw tables from a Stack Exchange dump or from the sample that was written for this project."""
