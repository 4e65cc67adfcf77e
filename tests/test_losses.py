import numpy as np
import pytest
import tensorflow as tf

from zoo import losses


def test_cross_entropies_are_those_of_the_probabilities(rng):
    logit = rng.standard_normal(50) * 3
    d = 1 / (1 + np.exp(-logit))
    np.testing.assert_allclose(losses.as_real(tf.constant(logit)), -np.log(d), rtol=1e-9)
    np.testing.assert_allclose(losses.as_fake(tf.constant(logit)), -np.log(1 - d), rtol=1e-9)
    expected = -np.log(d) + np.log(1 - d)
    np.testing.assert_allclose(losses.reverse_kl(tf.constant(logit)), expected, rtol=1e-9)
    assert np.isfinite(losses.as_real(tf.constant([-1e4, 1e4]))).all()


@pytest.mark.parametrize("slope", [1.0, 0.3, 2.5])
def test_penalty_of_a_linear_critic(rng, slope):
    """Oracle 9: (|w| - 1)^2, whatever the images."""
    w = rng.standard_normal((4, 4, 3))
    w = tf.constant(slope * w / np.linalg.norm(w), tf.float32)
    real, fake = (tf.constant(rng.random((5, 4, 4, 3)), tf.float32) for _ in range(2))
    position = tf.constant(rng.random((5, 1, 1, 1)), tf.float32)
    penalty = losses.gradient_penalty(
        lambda x: tf.reduce_sum(x * w, axis=[1, 2, 3]), real, fake, position
    )
    np.testing.assert_allclose(penalty, np.full(5, (slope - 1) ** 2), atol=1e-5)


def test_penalty_is_taken_between_the_images_per_example():
    real, fake = tf.zeros((2, 1, 1, 1)), tf.ones((2, 1, 1, 1))
    position = tf.constant([0.25, 0.75])[:, None, None, None]
    penalty = losses.gradient_penalty(
        lambda x: tf.reduce_sum(x**3, axis=[1, 2, 3]), real, fake, position
    )
    slopes = 3 * np.array([0.25, 0.75]) ** 2
    np.testing.assert_allclose(penalty, (slopes - 1) ** 2, rtol=1e-5)


def test_penalty_of_a_flat_critic_has_a_finite_gradient():
    w = tf.Variable(tf.zeros((2, 2, 1)))
    images = tf.ones((3, 2, 2, 1))
    with tf.GradientTape() as tape:
        penalty = losses.gradient_penalty(
            lambda x: tf.reduce_sum(x * w, axis=[1, 2, 3]), images, images, tf.zeros((3, 1, 1, 1))
        )
    assert np.isfinite(tape.gradient(penalty, w)).all()


def test_distances():
    images = tf.constant([[[[0.0], [1.0]]], [[[0.5], [0.5]]]])
    others = tf.constant([[[[0.5], [0.5]]], [[[0.5], [0.0]]]])
    np.testing.assert_allclose(losses.l1(images, others), [0.5, 0.25])
    z, other = tf.constant([[1.0, 2.0]]), tf.constant([[0.0, 4.0]])
    np.testing.assert_allclose(losses.squared_distance(z, other), [5.0])
