"""The zoo's batch norm against Keras's: outputs, gradients, second derivatives, moving averages."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.networks.batch_norm import BatchNormalization
from zoo.networks.layers import batch_norm

SHAPES = [(16, 7, 5, 6), (32, 6), (8, 1, 1, 3)]


def pair(shape, **settings):
    """Ours and Keras's, with the same scale and offset."""
    generator = np.random.default_rng(3)
    layers = [make(momentum=0.9, epsilon=1e-5, **settings) for make in KINDS]
    for layer in layers:
        layer.build(shape)
    weights = [generator.uniform(0.5, 2, w.shape).astype(np.float32) for w in layers[0].weights]
    for layer in layers:
        layer.set_weights(weights)
    return layers


KINDS = (BatchNormalization, keras.layers.BatchNormalization)


def trained(layer, x, compiled=False):
    """Output, gradients of a loss of it, and gradients of the squared length of one of those."""

    def run(x):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = layer(x, training=True)
                loss = tf.reduce_sum(tf.square(y) * tf.cos(y + 1.0))
            sources = [x, *(v.value for v in layer.trainable_variables)]
            gradients = tape.gradient(loss, sources)
            length = tf.reduce_sum(tf.square(gradients[0]))
        return y, gradients, outer.gradient(length, x)

    return tf.nest.flatten(tf.function(run, jit_compile=compiled)(tf.constant(x)))


def inputs(shape):
    return np.random.default_rng(1).normal(2.0, 3.0, shape).astype(np.float32)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_kerass(shape, compiled):
    ours, other = pair(shape)
    values, expected = (trained(layer, inputs(shape), compiled) for layer in (ours, other))
    for value, right in zip(values, expected, strict=True):
        scale = float(tf.reduce_max(tf.abs(right)))
        np.testing.assert_allclose(value, right, rtol=1e-5, atol=1e-5 * scale)
    for one, two in zip(ours.weights, other.weights, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5, err_msg=one.path)
    x = inputs(shape)
    np.testing.assert_allclose(ours(x), other(x), rtol=1e-5, atol=1e-6)


def test_its_statistics_are_those_of_the_batch():
    """By NumPy in float64."""
    ours, _ = pair(SHAPES[0])
    gamma, beta, mean, variance = (w.astype(np.float64) for w in ours.get_weights())
    x = inputs(SHAPES[0]).astype(np.float64)
    y = ours(x.astype(np.float32), training=True)
    m, v = x.mean((0, 1, 2)), x.var((0, 1, 2))
    np.testing.assert_allclose(y, gamma * (x - m) / np.sqrt(v + 1e-5) + beta, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(ours.moving_mean, 0.9 * mean + 0.1 * m, rtol=1e-5)
    np.testing.assert_allclose(ours.moving_variance, 0.9 * variance + 0.1 * v, rtol=1e-5)


@pytest.mark.parametrize("settings", [{"dtype": "mixed_bfloat16"}, {"dtype": "float64"}])
def test_it_has_kerass_precision(settings):
    ours, other = pair(SHAPES[0], **settings)
    results = [layer(inputs(SHAPES[0]), training=True) for layer in (ours, other)]
    assert results[0].dtype == results[1].dtype == ours.compute_dtype
    tolerance = 2e-2 if "bfloat16" in settings["dtype"] else 1e-6
    np.testing.assert_allclose(
        *(tf.cast(r, tf.float64) for r in results), rtol=0, atol=tolerance * 10
    )
    for one, two in zip(ours.weights, other.weights, strict=True):
        np.testing.assert_allclose(one, two, rtol=tolerance)


@pytest.mark.parametrize("settings", [{"scale": False}, {"center": False}, {"axis": 1}])
def test_it_has_kerass_settings(settings):
    ours, other = pair(SHAPES[0], **settings)
    results = [layer(inputs(SHAPES[0]), training=True) for layer in (ours, other)]
    np.testing.assert_allclose(*results, rtol=1e-5, atol=1e-5)


def test_the_networks_have_it_and_one_kernel():
    layer = batch_norm()
    assert type(layer) is BatchNormalization
    traced = tf.function(lambda x: layer(x, training=True)).get_concrete_function(
        tf.TensorSpec((4, 3, 3, 2))
    )
    assert "FusedBatchNormV3" in {operation.type for operation in traced.graph.get_operations()}


def test_a_file_brings_it_back(tmp_path):
    model = keras.Sequential([keras.Input((7, 5, 6)), batch_norm()])
    model.save(tmp_path / "model.keras")
    assert type(keras.saving.load_model(tmp_path / "model.keras").layers[0]) is BatchNormalization
