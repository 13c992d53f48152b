"""Limit how long a client waits, and start the local BigQuery again if it ends meanwhile."""
