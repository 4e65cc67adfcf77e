"""Samples and reconstructions against data."""
