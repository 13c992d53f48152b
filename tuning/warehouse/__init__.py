"""Work with BigQuery: Google's or the local one."""
