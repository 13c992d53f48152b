"""Model versions, champion and challenger."""
