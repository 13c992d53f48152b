"""Turn the files of a dump into UTF-8 bytes: archives, compressed files, other encodings and forbidden characters."""
