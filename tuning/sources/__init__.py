"""What fills the raw tables locally: a Stack Exchange dump, or a sample made from the standard library's docs."""
