"""Prepare the rows of a snapshot: convert, filter, redact and hash them."""
