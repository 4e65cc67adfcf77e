"""What is measured: a run or a SavedModel, and its encodings of the data."""
