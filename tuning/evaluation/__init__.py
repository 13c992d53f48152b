"""Evaluate a tuned model against its base and the champion: answers, metrics, release gate and report."""
