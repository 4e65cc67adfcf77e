"""Spectral normalisation against singular values and gradients that are known."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.known import s, tensor
from zoo.networks.spectral_norm import SpectralNorm, iterated, singular_value

W, U = tensor(s(3, 2)), tensor([1, 1])
V = tf.math.l2_normalize(tf.linalg.matvec(W, U))  # of the first iteration that begins with u = U


def dense():
    """x W with the kernel and the vector above."""
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, use_bias=False)])
    normalised = SpectralNorm(network)
    normalised.kernels[0].assign(W)
    normalised.vectors[0].assign(V)
    return normalised


def true_sigma(kernel):
    return np.linalg.norm(np.reshape(kernel, (-1, kernel.shape[-1])), 2)


def test_singular_values_of_the_first_iterations():
    v, found = V, []
    for _ in range(3):
        found.append(float(singular_value(W, v)))
        v = iterated(W, v)
    np.testing.assert_allclose(found, [0.9546982950, 0.9684318361, 1.0276823256], rtol=1e-6)
    for _ in range(40):
        v = iterated(W, v)
    assert float(singular_value(W, v)) == pytest.approx(1.4316136158, rel=1e-6)


@pytest.mark.parametrize("length", [1e-3, 0.9, 50.0])
def test_the_length_of_the_vector_does_not_matter(length):
    """Averages of unit vectors are shorter."""
    assert float(singular_value(W, length * V)) == pytest.approx(0.9546982950, rel=1e-6)


def test_the_gradient_goes_through_sigma():
    network = dense()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(network(tensor([[1, 2, 3]]))))
    (gradient,) = tape.gradient(loss, [v.value for v in network.trainable_variables])
    expected = [-14.325, -23.502, -6.581, -27.573, 25.011, -10.647]
    np.testing.assert_allclose(gradient.numpy().ravel(), expected, atol=6e-4)
    # In which direction the kernel only grows, the output stays as it is.
    assert float(tf.reduce_sum(gradient * W)) == pytest.approx(0, abs=1e-4)


def test_calls_change_neither_kernel_nor_vector():
    network = dense()
    x = tensor([[1, 2, 3]])
    one, two = network(x, training=True), network(x, training=True)
    np.testing.assert_array_equal(one, two)
    np.testing.assert_allclose(one, tf.matmul(x, W) / 0.9546982950, rtol=1e-6)
    np.testing.assert_array_equal(network.kernels[0], W)
    np.testing.assert_array_equal(network.vectors[0], V)
    network.iterate()
    np.testing.assert_allclose(network(x), tf.matmul(x, W) / 0.9684318361, rtol=1e-6)


@pytest.mark.parametrize(
    ("layer", "shape", "kernel", "expected"),
    [
        (keras.layers.Conv2D, (4, 4, 1), (2, 2, 1, 2), 1.6593336025),
        (keras.layers.Conv2DTranspose, (4, 4, 2), (2, 2, 1, 2), 1.6593336025),
    ],
)
def test_a_convolution_is_the_matrix_of_its_last_axis(layer, shape, kernel, expected):
    network = keras.Sequential([keras.Input(shape), layer(kernel[-1 if shape[-1] == 1 else 2], 2)])
    network = SpectralNorm(network)
    network.kernels[0].assign(s(4, 2).reshape(kernel))
    for _ in range(60):
        network.iterate()
    (v,) = network.vectors
    matrix = tf.reshape(network.kernels[0].value, [4, 2])
    assert float(singular_value(matrix, v.value)) == pytest.approx(expected, rel=1e-6)


def test_it_starts_near_the_true_value():
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(32), keras.layers.Dense(1)]
    network = SpectralNorm(keras.Sequential([keras.Input((64,)), *layers]))
    for kernel, v in zip(network.kernels, network.vectors, strict=True):
        assert float(singular_value(kernel.value, v.value)) > 0.95 * true_sigma(kernel)


def test_what_layers_keep_is_kept_and_frozen_kernels_are_normalised():
    frozen = keras.layers.Dense(4, trainable=False)
    norm = keras.layers.BatchNormalization(momentum=0.5)
    network = SpectralNorm(keras.Sequential([keras.Input((3,)), frozen, norm]))
    assert [kernel is frozen.kernel for kernel in network.kernels] == [True]
    frozen.kernel.assign(10.0 * frozen.kernel)
    before = frozen.kernel.numpy()
    x = tensor(np.random.default_rng(0).normal(size=(64, 3)))
    network(x, training=False)
    np.testing.assert_array_equal(norm.moving_mean, np.zeros(4))
    network(x, training=True)
    hidden = x @ (before / float(singular_value(frozen.kernel.value, network.vectors[0].value)))
    np.testing.assert_allclose(norm.moving_mean, 0.5 * np.mean(hidden, axis=0), rtol=1e-5)
    np.testing.assert_array_equal(frozen.kernel, before)


def test_in_bfloat16_sigma_is_that_of_the_stored_kernel():
    dense = keras.layers.Dense(2, use_bias=False, dtype="mixed_bfloat16")
    network = SpectralNorm(keras.Sequential([keras.Input((3,)), dense]))
    dense.kernel.assign(W)
    network.vectors[0].assign(V)
    y = network(tensor([[1, 2, 3]]))
    assert y.dtype == tf.bfloat16
    np.testing.assert_allclose(
        tf.cast(y, tf.float32), tensor([[1, 2, 3]]) @ W / 0.9546982950, rtol=0.02
    )
