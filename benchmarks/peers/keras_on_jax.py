"""A VAE in Keras's own form on its JAX backend, in a process of its own, which has one backend.

    KERAS_BACKEND=jax python -m benchmarks.peers.keras_on_jax FAMILY STEPS

prints the seconds of one of so many steps.
"""

from __future__ import annotations

import sys
from typing import Any

import keras
import numpy as np
from keras import ops

from benchmarks.peers.plain_tensorflow import decoder, encoder
from benchmarks.peers.specification import SPECIFICATIONS, Specification
from benchmarks.timing import seconds

BATCH_SIZE, WARM = 64, 3


class Posterior(keras.layers.Layer):
    """Mean and logarithm of the deviation -> a draw; adds the KL of an example to the loss."""

    def __init__(self, **settings: Any):
        super().__init__(**settings)
        self.noise = keras.random.SeedGenerator(0)

    def call(self, parameters: Any) -> Any:
        """`[N, 2 D]`, both side by side -> `[N, D]`."""
        mean, log_stddev = ops.split(parameters, 2, axis=-1)
        kl = 0.5 * (mean**2 + ops.exp(2 * log_stddev) - 1 - 2 * log_stddev)
        self.add_loss(ops.mean(ops.sum(kl, axis=1)))
        return mean + ops.exp(log_stddev) * keras.random.normal(ops.shape(mean), seed=self.noise)


def vae(spec: Specification) -> keras.Model:
    """Compiled, for `train_on_batch(images, images)`."""
    images = keras.Input((spec.side, spec.side, 3))
    z = Posterior()(encoder(spec, 2 * spec.latent_size)(images))
    model = keras.Model(images, decoder(spec)(z))
    adam = keras.optimizers.Adam(5e-4, beta_1=0.5, beta_2=0.9, epsilon=1e-8)
    model.compile(optimizer=adam, loss=_cross_entropy, jit_compile=True)
    return model


def _cross_entropy(images: Any, logits: Any) -> Any:
    return ops.sum(ops.softplus(logits) - images * logits, axis=(1, 2, 3))


def main(family: str, steps: str) -> None:
    """Prints it."""
    spec = SPECIFICATIONS[family]
    images = np.random.default_rng(0).random((BATCH_SIZE, spec.side, spec.side, 3), np.float32)
    model = vae(spec)
    step = lambda: model.train_on_batch(images, images)  # noqa: E731
    seconds(step, WARM)
    print(seconds(step, int(steps)))


if __name__ == "__main__":
    main(*sys.argv[1:])
