"""Keep the working files of a dataset that is not finished."""
