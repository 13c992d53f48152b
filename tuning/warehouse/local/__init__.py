"""Correct what the local BigQuery answers, refuse what it cannot answer, and limit what a statement may use.

bqemulator translates BigQuery's SQL to DuckDB's. This package runs inside its process. `patches` lists every place
where it does something else.
"""
