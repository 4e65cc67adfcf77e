"""Group norm: Keras's, and the gradient of its gradient."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.networks.group_norm import GroupNormalization

SHAPE = (3, 4, 5, 6)


def of_chance(layer, rng):
    layer.build(SHAPE)
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape))
    return layer


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_it_gives_what_keras_gives(groups, dtype, rng):
    ours = of_chance(GroupNormalization(groups, epsilon=1e-5, dtype=dtype), rng)
    theirs = keras.layers.GroupNormalization(groups, epsilon=1e-5, dtype=dtype)
    theirs.build(SHAPE)
    theirs.set_weights(ours.get_weights())
    assert [w.name for w in ours.weights] == [w.name for w in theirs.weights]
    images = tf.constant(rng.normal(2.0, 3.0, SHAPE), ours.compute_dtype)
    one, other = ours(images), theirs(images)
    assert one.dtype == other.dtype and one.shape == other.shape
    limit = 1e-5 if dtype == "float32" else 0.05
    np.testing.assert_allclose(tf.cast(one, tf.float32), tf.cast(other, tf.float32), atol=limit)


def penalty(layer, mixed, x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        score = tf.reduce_sum(tf.tanh(layer(x @ mixed)) ** 2)
    return tf.reduce_sum(tape.gradient(score, x) ** 2)


@pytest.mark.parametrize(
    ("kind", "exact"), [(GroupNormalization, True), (keras.layers.GroupNormalization, False)]
)
def test_the_gradient_of_a_penalty_is_exact(kind, exact, rng):
    """By central differences in float64, which tell that Keras's is not."""
    layer = of_chance(kind(groups=1, dtype="float64"), rng)
    x, way = (tf.constant(rng.normal(size=SHAPE)) for _ in range(2))
    # A layer in front: the gradient at the norm's own input has no mean that could be missed.
    mixed = tf.constant(rng.normal(size=(SHAPE[-1], SHAPE[-1])))
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = penalty(layer, mixed, x)
    along = float(tf.reduce_sum(tape.gradient(value, x) * way))
    step = 1e-5
    ends = [float(penalty(layer, mixed, x + sign * step * way)) for sign in (1, -1)]
    difference = (ends[0] - ends[1]) / (2 * step)
    assert (abs(along / difference - 1) < 1e-6) is exact
