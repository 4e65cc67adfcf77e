"""Strategy, checkpoints, callbacks and the training loop."""
