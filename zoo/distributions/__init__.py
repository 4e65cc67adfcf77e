"""Distributions over images and codes; the only importers of TensorFlow Probability in the zoo."""
