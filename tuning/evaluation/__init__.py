"""Base against tuned: generation, metrics, release gate, report."""
