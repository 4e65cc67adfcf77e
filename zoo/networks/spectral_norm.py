"""Spectral normalisation: a network whose kernels are divided by their largest singular value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

WARM_UP = 10  # iterations when the network is made, chosen


def iterated(matrix: tf.Tensor, v: tf.Tensor) -> tf.Tensor:
    """v `[M]` after one power iteration on a matrix W `[M, N]`: u = W^T v / |W^T v|, then W u /
    |W u|."""
    u = _unit(tf.linalg.matvec(matrix, v, transpose_a=True))
    return _unit(tf.linalg.matvec(matrix, u))


def singular_value(matrix: tf.Tensor, v: tf.Tensor) -> tf.Tensor:
    """v^T W u, a scalar, with u as in `iterated`: at most the largest singular value of W, and that
    itself where v has converged.

    Args:
        matrix: W `[M, N]`, to which the value has the gradient v u^T.
        v: `[M]`, of any length, held fixed as u is.
    """
    v = _unit(v)
    u = _unit(tf.linalg.matvec(matrix, v, transpose_a=True))
    return tf.reduce_sum(tf.stop_gradient(v) * tf.linalg.matvec(matrix, tf.stop_gradient(u)))


def _unit(vector: tf.Tensor) -> tf.Tensor:
    return tf.math.l2_normalize(vector, epsilon=1e-12)  # as in the authors' code


class SpectralNorm(keras.Model):
    """A network in which W / sigma(W) stands for each kernel W (Miyato et al. 2018).

    W is reshaped to a matrix `[M, N]`, N its last axis: a convolution's outputs, or the inputs of a
    transposed one, which has the norm of the convolution that it is the adjoint of. The sigma of
    that matrix is not the norm of the convolution itself, but within sqrt(height * width) of it.

    A call changes no kernel and no v: it is a function of both as they are stored. `iterate` renews
    the v, once before each update, so that all calls of an update share them. What is stored is v,
    where the authors store u: of a kernel with one output, u is a mere sign.

    Keras's layer of this name is another thing: at each call of a training step it overwrites the
    kernel with what it has normalised. Sigma has no gradient there, and a second call meets another
    kernel than the first.

    Args:
        network: a network that is built, of one input; its layers are used as they are.
    """

    def __init__(self, network: keras.Model):
        # Kernels are read as they are stored; the layers cast what they take.
        super().__init__(name=network.name, dtype="float32", autocast=False)
        self.network = network
        self.vectors = [
            self.add_weight(
                name="v",
                shape=(_matrix(kernel).shape[0],),
                initializer="random_normal",
                trainable=False,
                autocast=False,
                aggregation="only_first_replica",  # a function of the kernels
            )
            for kernel in self.kernels
        ]
        self.built = True
        for _ in range(WARM_UP):
            self.iterate()

    @property
    def kernels(self) -> list[keras.Variable]:
        """What is normalised; biases and scales stay as they are."""
        return [v for v in self.network.variables if v.name.endswith("kernel")]

    def iterate(self) -> None:
        """One power iteration for each kernel."""
        for kernel, v in self._pairs():
            v.assign(iterated(_matrix(kernel), v.value))

    def call(self, inputs: Any, training: bool = False) -> Any:
        """What the network makes of its input with normalised kernels."""
        normalised = []
        for kernel, v in self._pairs():
            sigma = singular_value(_matrix(kernel), v.value)
            normalised.append((kernel, kernel.value / tf.maximum(sigma, 1e-12)))
        with keras.StatelessScope(normalised) as scope:
            outputs = self.network(inputs, training=training)
        # What layers keep themselves, as the averages of batch norm, waits in the scope.
        kernels = {id(kernel) for kernel, _ in normalised}
        for variable in self.network.non_trainable_variables:
            kept = scope.get_current_value(variable)
            if kept is not None and id(variable) not in kernels:
                variable.assign(kept)
        return outputs

    def _pairs(self) -> Iterator[tuple[keras.Variable, keras.Variable]]:
        """Each kernel and its v."""
        return zip(self.kernels, self.vectors, strict=True)


def _matrix(kernel: keras.Variable) -> tf.Tensor:
    return tf.reshape(kernel.value, [-1, kernel.shape[-1]])
