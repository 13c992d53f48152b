"""The KFP pipelines and what runs them."""
