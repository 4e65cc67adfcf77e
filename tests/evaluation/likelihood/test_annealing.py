"""Annealed chains where every answer is known: a scalar decoder with perfect moves, and moves by
themselves."""

import numpy as np
import pytest
import tensorflow as tf

from zoo.evaluation.likelihood.annealing import (
    TARGET_ACCEPTANCE,
    Annealing,
    Batch,
    linear_schedule,
    sigmoid_schedule,
)

# z ~ N(0, 1), x|z ~ N(z, 1/4), x = 1.
STDDEV, X = 0.5, 1.0
LOG_P = -1.4305103088617774


def log_normal(z, rows):
    return -0.5 * (tf.reduce_sum(z**2, axis=1) + z.shape[1] * np.log(2 * np.pi))


def log_likelihood(z, rows):
    return -0.5 * (((X - z[:, 0]) / STDDEV) ** 2 + np.log(2 * np.pi * STDDEV**2))


def moments(b):
    """Of the exact law at b."""
    precision = 1 + b / STDDEV**2
    return b * X / STDDEV**2 / precision, precision**-0.5


def two_points(b):
    """Mean and standard deviation either side: of a quadratic their mean is the expectation."""
    mean, stddev = moments(b)
    return tf.constant([[mean - stddev], [mean + stddev]], tf.float32)


def batch(images, chains, size=1):
    rows = {"image": np.zeros((images, 1), np.float32)}
    return Batch.of(rows, np.ones((images, size)), (0, 0), chains)


class Perfect(Annealing):
    """Chains whose every move is a draw of the target."""

    def move(self, point, batch, b, size, seeds, number):
        return self.at(two_points(b), batch), np.ones(2)


@pytest.mark.parametrize(
    ("schedule", "lower", "upper"),
    [
        (linear_schedule(1), -4.2257913526447274, -0.7057913526447274),
        (linear_schedule(10), -1.625651522, -1.273651522),
        (linear_schedule(100), -1.448306522, -1.413106522),
        (sigmoid_schedule(100), -1.448891288, -1.412518970),
    ],
    ids=["1", "10", "100", "sigmoid-100"],
)
def test_weights_of_perfect_moves(schedule, lower, upper):
    """The mean log weight of single chains, from each side."""
    chains, of = Perfect(log_normal, log_likelihood, schedule, 1), batch(1, 2)
    sizes = np.ones((chains.steps, 1))
    forward = chains.forward(two_points(0.0), of, sizes).log_weights
    reverse = chains.reverse(two_points(1.0), of, sizes).log_weights
    assert forward.mean() == pytest.approx(lower, abs=2e-6)
    assert -reverse.mean() == pytest.approx(upper, abs=2e-6)


def test_schedules_rise_from_0_to_1():
    for schedule in (linear_schedule(7), sigmoid_schedule(7)):
        assert len(schedule) == 8 and (schedule[0], schedule[-1]) == (0, 1)
        assert (np.diff(schedule) > 0).all()
    np.testing.assert_allclose(sigmoid_schedule(4)[1:4], [0.104994, 0.5, 0.895006], atol=1e-6)


def test_chains_meet_the_evidence_from_both_sides():
    """8 chains of each of 64 equal images."""
    chains = Annealing(log_normal, log_likelihood, sigmoid_schedule(40), 3)
    few, many = batch(64, 4), batch(64, 8)
    rng = np.random.default_rng(0)
    sizes = chains.pilot(rng.standard_normal((256, 1)), few)
    assert sizes.shape == (40, 64)
    forward = chains.forward(rng.standard_normal((512, 1)), many, sizes)
    mean, stddev = moments(1.0)
    exact = np.repeat(mean + stddev * rng.standard_normal((64, 1)), 8, axis=0)
    reverse = chains.reverse(exact, many, sizes)
    for bound in (forward.log_mean(), -reverse.log_mean()):
        error = 4 * bound.std() / 8
        assert error < 0.2 and bound.mean() == pytest.approx(LOG_P, abs=error + 0.02)
    assert abs(forward.acceptance - TARGET_ACCEPTANCE) < 0.25
    assert (forward.effective_chains() <= 8).all() and forward.effective_chains().mean() > 5


@pytest.mark.parametrize("size", [0.3, 1.2])
def test_moves_keep_a_normal(size):
    chains, of = Annealing(log_normal, log_normal, linear_schedule(1), 4), batch(1, 2000, 3)
    z = np.random.default_rng(1).standard_normal((2000, 3)).astype(np.float32)
    point, seeds = chains.at(z, of), of.noise_seeds("forward")
    for number in range(30):
        point, _ = chains.move(point, of, 0.0, np.array([size]), seeds, number)
    after = point.z.numpy()
    assert np.abs(after - z).max(axis=1).min() > 0.01  # none stands still
    np.testing.assert_allclose(after.mean(0), 0, atol=4 / 2000**0.5)
    np.testing.assert_allclose(np.cov(after.T), np.eye(3), atol=6 / 2000**0.5)
    np.testing.assert_allclose((after**4).mean(0), 3, atol=1)


def test_acceptance_rises_to_1_as_steps_shrink():
    chains, of = Annealing(log_normal, log_normal, linear_schedule(1), 4), batch(1, 500, 3)
    point = chains.at(np.random.default_rng(1).standard_normal((500, 3)), of)
    seeds, shares = of.noise_seeds("forward"), []
    for size in (2.5, 1.0, 0.3, 0.03):
        shares.append(chains.move(point, of, 0.0, np.array([size]), seeds, 0)[1].mean())
    assert shares == sorted(shares) and shares[0] < 0.2 and shares[-1] > 0.999


def test_what_leaves_the_numbers_is_rejected():
    """A step so large that the trajectory overflows, and an energy that is not finite there."""

    def energy(z, rows):
        return tf.where(tf.abs(z[:, 0]) < 10, -(z[:, 0] ** 2), np.nan)

    chains, of = Annealing(log_normal, energy, linear_schedule(1), 5), batch(1, 50, 2)
    point = chains.at(np.random.default_rng(1).standard_normal((50, 2)), of)
    for size in (1e3, 1e38):
        moved, accepted = chains.move(
            point, of, 1.0, np.array([size]), of.noise_seeds("forward"), 0
        )
        np.testing.assert_array_equal(moved.z, point.z)
        assert (accepted == 0).all()


def test_an_image_does_not_depend_on_those_behind_it():
    chains = Annealing(log_normal, log_likelihood, linear_schedule(5), 2)
    found = []
    for images in (2, 3):
        of, z = batch(images, 4), np.random.default_rng(2).standard_normal((12, 1))[: 4 * images]
        sizes = chains.pilot(z, of)
        found.append(chains.forward(z, of, sizes).log_weights[:2])
    np.testing.assert_allclose(*found, rtol=1e-5)
