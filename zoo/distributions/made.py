"""MADE: a network whose output i is a function of the inputs before i (Germain et al. 2015)."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

LOG_SCALE_LIMIT = 5.0  # chosen: one block stretches by at most e^5


class MaskedDense(keras.layers.Layer):
    """A dense layer of which the weights where `mask` is 0 play no part.

    Args:
        mask: `[inputs, units]` of 0 and 1.
        activation: as Keras names it; None for none.
        kernel_initializer: as Keras names it.
    """

    def __init__(
        self, mask: np.ndarray, activation: str | None, kernel_initializer: str = "he_normal"
    ):
        super().__init__(dtype="float32")
        self.mask = mask.astype(np.float32)
        self.activation = keras.activations.get(activation)
        self.kernel_initializer = kernel_initializer

    def build(self, input_shape: Any = None) -> None:
        """Creates the weights; the sizes are those of the mask."""
        self.kernel = self.add_weight(
            shape=self.mask.shape, initializer=self.kernel_initializer, name="kernel"
        )
        self.bias = self.add_weight(shape=self.mask.shape[1:], initializer="zeros", name="bias")

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """`[..., inputs]` -> `[..., units]`."""
        return self.activation(tf.matmul(inputs, self.kernel * self.mask) + self.bias)


class MADE(keras.layers.Layer):
    """Codes `[N, D]` -> shift and log-scale `[N, D]`, of which entry i depends on z_<i alone.

    Two hidden ReLU layers. A unit of degree m sees inputs 1..m and is seen by outputs above m. The
    log-scale is `5 tanh(./5)`; the last layer starts at zero.

    Args:
        latent_size: D.
        hidden: units of each hidden layer.
    """

    def __init__(self, latent_size: int, hidden: int):
        super().__init__(dtype="float32")
        inputs = np.arange(1, latent_size + 1)
        # Evenly from 1 to D - 1; of a single input, hidden units see it and no output sees them.
        degrees = np.linspace(1, max(1, latent_size - 1), hidden).astype(int)
        self.first = MaskedDense(inputs[:, None] <= degrees, "relu")
        self.second = MaskedDense(degrees[:, None] <= degrees, "relu")
        self.last = MaskedDense(degrees[:, None] < np.tile(inputs, 2), None, "zeros")

    def build(self, input_shape: Any = None) -> None:
        """Creates all weights; the sizes are known beforehand."""
        for layer in (self.first, self.second, self.last):
            layer.build()

    def call(self, z: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Shift and log-scale."""
        shift, log_scale = tf.split(self.last(self.second(self.first(z))), 2, axis=-1)
        return shift, LOG_SCALE_LIMIT * tf.tanh(log_scale / LOG_SCALE_LIMIT)
