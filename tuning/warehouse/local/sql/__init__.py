"""Rewrite statements so that DuckDB answers them as BigQuery does."""
