"""Batch norm by one kernel forward and one backward."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="zoo")
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras's, which normalises a batch in several passes over it where one kernel has it all.

    The kernel serves a batch that one replica has, of channels last and at most 32 bits. Statistics
    of several replicas, and what is not training, are Keras's.
    """

    def call(self, inputs: tf.Tensor, training: bool | None = None, mask: Any = None) -> tf.Tensor:
        """The batch `[N, ..., C]`, normalised in training by its own statistics."""
        rank = inputs.shape.rank
        fits = rank in (2, 4) and self.axis in (-1, rank - 1) and inputs.dtype != tf.float64
        plain = self.scale and self.center and not self.synchronized and mask is None
        if not (training and self.trainable and fits and plain):
            return super().call(inputs, training=training, mask=mask)
        images = inputs if rank == 4 else inputs[:, None, None, :]
        normalised, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=images,
            scale=tf.cast(self.gamma.value, tf.float32),
            offset=tf.cast(self.beta.value, tf.float32),
            mean=[],
            variance=[],
            epsilon=self.epsilon,
            is_training=True,
        )
        # The kernel's variance is unbiased, Keras's moving one is not.
        count = tf.cast(tf.size(images) // images.shape[-1], variance.dtype)
        self._follow(self.moving_mean, mean)
        self._follow(self.moving_variance, variance * ((count - 1.0) / count))
        return normalised if rank == 4 else normalised[:, 0, 0, :]

    def _follow(self, moving: keras.Variable, value: tf.Tensor) -> None:
        kept = moving * self.momentum
        moving.assign(kept + tf.cast(value, moving.dtype) * (1.0 - self.momentum))
