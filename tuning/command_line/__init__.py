"""Declare the options of commands, and parse positional arguments that can be left out."""
