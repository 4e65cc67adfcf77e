"""Adam by one kernel."""

from __future__ import annotations

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="zoo")
class Adam(keras.optimizers.Adam):
    """Keras's Adam with its slots and its equation, each variable's update by one kernel where
    Keras takes a dozen operations."""

    def update_step(
        self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor
    ) -> None:
        """Moves one variable and its two slots; by Keras's operations where there is a third, or
        where Keras traces the update without variables."""
        if self.amsgrad or self.gradient_accumulation_steps:
            super().update_step(gradient, variable, learning_rate)
            return
        dtype = variable.dtype
        step = tf.cast(self.iterations.value + 1, dtype)
        beta_1, beta_2 = (tf.cast(beta, dtype) for beta in (self.beta_1, self.beta_2))
        index = self._get_variable_index(variable)
        slots = (slot[index].value for slot in (self._momentums, self._velocities))
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            **dict(zip("mv", (slot.handle for slot in slots), strict=True)),
            beta1_power=tf.pow(beta_1, step),
            beta2_power=tf.pow(beta_2, step),
            lr=tf.cast(learning_rate, dtype),
            beta1=beta_1,
            beta2=beta_2,
            epsilon=tf.cast(self.epsilon, dtype),
            grad=tf.cast(gradient, dtype),
        )
