"""What fills the raw tables locally."""
