"""What a model says of log p(x)."""
