"""From the files and frames of a caller to the folder that a dataset is opened from."""
