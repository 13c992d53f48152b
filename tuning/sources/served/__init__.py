"""Keep the answers that `invoke serve` gave: read their log, and load it into the warehouse."""
