"""Define the KFP pipelines and run them."""
