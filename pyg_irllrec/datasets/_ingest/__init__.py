"""Read files and frames, and write the folder that a dataset is opened from."""
