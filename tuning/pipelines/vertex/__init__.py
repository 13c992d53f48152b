"""Run pipelines on Vertex AI Pipelines."""
