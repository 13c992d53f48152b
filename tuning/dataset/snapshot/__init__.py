"""Export a mart to Parquet and read it back."""
