"""Select rows, assign them to train or evaluation, and write their texts."""
