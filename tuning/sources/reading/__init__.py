"""Turn the files of a dump into rows: archives, compressed files, encodings and forbidden characters."""
