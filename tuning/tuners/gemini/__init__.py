"""Tune and query models on Vertex AI."""
