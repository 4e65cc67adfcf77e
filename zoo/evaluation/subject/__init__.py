"""What is measured: a run, a SavedModel or images from elsewhere, and its encodings of the data."""
