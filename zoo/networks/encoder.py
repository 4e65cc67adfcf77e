"""The encoder: the family's trunk and the head of the posterior."""

from __future__ import annotations

from typing import Any

import keras


class Encoder(keras.Model):
    """Images `[N, H, W, C]` in [0, 1] -> q(z|x).

    Args:
        trunk: images -> features `[N, F]`.
        head: a posterior head of `zoo.distributions.posteriors`.
    """

    def __init__(self, trunk: keras.Model, head: keras.layers.Layer):
        super().__init__(name="encoder")
        self.trunk, self.head = trunk, head
        if not head.built:
            head.build((None, trunk.output_shape[-1]))
        self.built = True

    def posterior(self, images: Any, training: bool = False) -> Any:
        """The distribution q(z|x) of the posterior head."""
        return self.head.distribution(self.trunk(images, training=training))

    def call(self, images: Any, training: bool = False) -> Any:
        """The point code `[N, D]`."""
        return self.posterior(images, training=training).point()
