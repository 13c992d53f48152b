"""Find texts that are equal or nearly equal."""
