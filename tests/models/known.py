"""A model's equations on inputs that are given: its networks and noise replaced by fixed numbers.

The arrays are those of the known answers: `s(n, d)[i, j] = sin(i + 2j)`, `k(n, d)[i, j] = cos(2i -
j)`, and the logits `dr` (of data, or of what is real) and `dg` (of what is generated).
"""

import numpy as np
import tensorflow as tf

from tests.models.variants import tiny_model

DR, DG = np.float32([1.2, -0.3]), np.float32([-0.7, 0.4])


def s(n, d):
    i, j = np.indices((n, d))
    return np.sin(i + 2.0 * j)


def k(n, d):
    i, j = np.indices((n, d))
    return np.cos(2.0 * i - j)


def tensor(values):
    return tf.constant(np.asarray(values), tf.float32)


class Given:
    """Noise of which each purpose has its numbers."""

    def __init__(self, **by_purpose):
        self.by_purpose = {name: tensor(values) for name, values in by_purpose.items()}

    def normal(self, purpose, shape):
        return self.by_purpose[purpose]

    uniform = normal


class Point:
    """A posterior of which the point and a draw are given."""

    def __init__(self, point, draw=None):
        self._point, self._draw = tensor(point), tensor(point if draw is None else draw)

    def point(self):
        return self._point

    def reparameterize(self, noise):
        return self._draw


def with_parts(monkeypatch, variant, **parts):
    """A tiny model of which these methods or networks are functions given here."""
    model = tiny_model(variant)
    for name, part in parts.items():
        monkeypatch.setattr(model, name, part)
    return model
