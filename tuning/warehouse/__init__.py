"""BigQuery, real or local."""
