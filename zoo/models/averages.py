"""Averages of a model's weights over its steps.

Keras's optimisers can keep such averages (`use_ema`), but give them out by no public name, know
nothing of batch statistics, and count the updates of a critic, not the steps of the model.
"""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf


class Averages:
    """Exponential moving averages of the weights of a model's networks: after step t

        average += (1 - d) (weight - average),      d = min(decay, (1 + t) / (10 + t)),

    so that the initial weights are soon forgotten (as `tf.train.ExponentialMovingAverage` has it).
    Batch statistics are averaged as the weights that they belong to. They move nothing: the
    training is the same without them.

    Args:
        weights: by name; what is no floating-point number is left out.
        decay: of a step, in (0, 1).
    """

    def __init__(self, weights: Mapping[str, keras.Variable], decay: float):
        self.decay = decay
        self.weights = {n: v for n, v in weights.items() if tf.as_dtype(v.dtype).is_floating}
        self.variables = {
            name: keras.Variable(
                weight.numpy(),
                dtype=weight.dtype,
                trainable=False,
                aggregation="only_first_replica",
                name="average",
            )
            for name, weight in self.weights.items()
        }

    def update(self, step: keras.Variable) -> None:
        """Takes in the weights after `step`; call it inside the replica context."""
        t = tf.cast(step.value, tf.float32)
        decay = tf.minimum(self.decay, (1.0 + t) / (10.0 + t))
        for name, weight in self.weights.items():
            average = self.variables[name]
            average.assign(weight.value + decay * (average.value - weight.value))

    def swap_in(self) -> dict[str, np.ndarray]:
        """Gives the networks their averages, and returns the weights that they had."""
        before = {name: weight.numpy() for name, weight in self.weights.items()}
        for name, weight in self.weights.items():
            weight.assign(self.variables[name].numpy())
        return before

    def swap_out(self, before: Mapping[str, np.ndarray]) -> None:
        """Gives the networks back what `swap_in` returned."""
        for name, weight in self.weights.items():
            weight.assign(before[name])
