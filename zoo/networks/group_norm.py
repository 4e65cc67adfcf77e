"""Group norm whose gradient has a gradient."""

from __future__ import annotations

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="zoo")
class GroupNormalization(keras.layers.GroupNormalization):
    """Keras's, of channels last, for a critic under a gradient penalty.

    Keras takes the variance by `tf.nn.moments`, which stops the gradient of its mean: nothing of a
    gradient is lost by that, but a part of the gradient of a gradient is.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """The images `[N, H, W, C]`, normalised over pixels and the maps of each group."""
        _, height, width, maps = inputs.shape
        x = tf.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
        x = tf.reshape(x, [-1, height, width, self.groups, maps // self.groups])
        mean = tf.reduce_mean(x, [1, 2, 4], keepdims=True)
        variance = tf.reduce_mean(tf.square(x - mean), [1, 2, 4], keepdims=True)
        normalised = (x - mean) * tf.math.rsqrt(variance + self.epsilon)
        normalised = tf.reshape(normalised, [-1, height, width, maps])
        return tf.cast(normalised * self.gamma + self.beta, inputs.dtype)
