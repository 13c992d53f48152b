"""Serve a registered local model to programs on this machine, by OpenAI's chat API."""
