"""Store the working files of a dataset while it is being created."""
