"""Compare builds of the marts."""
