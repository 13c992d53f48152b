"""Replace secrets and personal data in text."""
