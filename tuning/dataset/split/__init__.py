"""Select rows, assign them to the train or eval split, and write their texts."""
