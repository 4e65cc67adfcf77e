"""A trained run as a SavedModel."""
