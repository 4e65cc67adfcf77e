"""Fits a network to endless fresh samples: what Algorithms 3 and 4 have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from zoo.errors import UsageError
from zoo.losses import after

Sampler = Callable[[int], np.ndarray]  # a count -> that many fresh draws, float32 [count, D]

_MOST_UPDATES = 100  # of one call, chosen: its cost is then lost in that of its updates
_MOST_NUMBERS = 2**22  # of one block of draws, chosen: 16 MiB


class Fit:
    """Adam on a loss of fresh minibatches, many updates to a call of one compiled function.

    Args:
        variables: what the updates move.
        loss: one minibatch `[batch_size, D]` of each sampler -> a scalar.
        samplers: where minibatches come from.
        size: D.
        batch_size: rows of a minibatch.
        **adam: arguments of `keras.optimizers.Adam`.

    Attributes:
        steps: updates made so far.
    """

    def __init__(
        self,
        variables: Sequence[keras.Variable],
        loss: Callable[..., tf.Tensor],
        samplers: Sequence[Sampler],
        size: int,
        batch_size: int,
        **adam: Any,
    ):
        self._variables, self._loss, self._samplers = list(variables), loss, samplers
        self._shape = (batch_size, size)
        self._updates_per_call = min(_MOST_UPDATES, max(1, _MOST_NUMBERS // (batch_size * size)))
        self._optimizer = keras.optimizers.Adam(**adam)
        self._optimizer.build(self._variables)
        block = tf.TensorSpec([None, *self._shape], tf.float32)
        self._compiled = tf.function(self._updates, input_signature=[block] * len(samplers))
        self.steps = 0

    def train(self, steps: int, bar: tqdm | None = None) -> None:
        """Makes `steps` updates, each on draws that no other saw, and advances `bar`.

        Raises:
            UsageError: a loss is not finite.
        """
        end = self.steps + steps
        while self.steps < end:
            count = min(end - self.steps, self._updates_per_call)
            blocks = [draw(count * self._shape[0]) for draw in self._samplers]
            loss = float(self._compiled(*[b.reshape(count, *self._shape) for b in blocks]))
            self.steps += count
            if not np.isfinite(loss):
                raise UsageError(
                    f"the loss is not finite after {self.steps} updates: expected a fit that "
                    "converges; try a smaller learning rate"
                )
            if bar is not None:
                bar.update(count)

    def _updates(self, *blocks: tf.Tensor) -> tf.Tensor:
        total = 0.0
        for i in tf.range(tf.shape(blocks[0])[0]):
            with tf.GradientTape() as tape:
                loss = self._loss(*[block[i] for block in blocks])
            gradients = tape.gradient(loss, self._variables, after([loss], 1.0))
            self._optimizer.apply(gradients, self._variables)
            total += loss
        return total
