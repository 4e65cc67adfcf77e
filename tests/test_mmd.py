"""The maximum mean discrepancy, against numbers of an independent computation in float64."""

import numpy as np
import pytest
import tensorflow as tf

from tests.models.known import k, s, tensor
from zoo.mmd import (
    gaussian,
    inverse_multiquadratic,
    median_variance,
    squared_distances,
    squared_mmd,
)

Q, P = tf.constant(s(4, 3)), tf.constant(k(4, 3))
SEVEN = inverse_multiquadratic([6.0 * s for s in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)])


@pytest.mark.parametrize(
    ("kernel", "draws", "expected"),
    [
        (inverse_multiquadratic([6.0]), P, -0.0951949492),
        (SEVEN, P, -0.4861275364),
        (SEVEN, Q, -1.2674580984),  # of a set from itself: not 0, as the estimate is unbiased
        (gaussian(1.0), P, -0.1428448739),
    ],
    ids=["one scale", "seven scales", "itself", "gaussian"],
)
def test_known_answers(kernel, draws, expected):
    assert float(squared_mmd(Q, draws, kernel)) == pytest.approx(expected, rel=1e-9)
    single = squared_mmd(tf.cast(Q, tf.float32), tf.cast(draws, tf.float32), kernel)
    # Means of up to 7 are left to cancel.
    assert float(single) == pytest.approx(expected, abs=1e-6)


def test_known_gradient():
    with tf.GradientTape() as tape:
        tape.watch(Q)
        value = squared_mmd(Q, P, SEVEN)
    assert float(tape.gradient(value, Q)[0, 0]) == pytest.approx(0.0127306046, rel=1e-6)


def test_it_is_unbiased(rng):
    """Its mean is that of the kernel, which has a closed form: for draws of N(m, I) and of N(0, I),
    with the kernel exp(-d^2 / 2), 2 / 3^(D/2) (1 - exp(-|m|^2 / 6))."""
    rows, size, draws = 8, 2, 2000
    x, y = (tensor(rng.standard_normal((draws, rows, size))) for _ in range(2))
    mmd = tf.function(lambda a, b: squared_mmd(a, b, gaussian(1.0)))

    def mean_and_error(shift):
        values = [float(mmd(a + shift, b)) for a, b in zip(x, y, strict=True)]
        return np.mean(values), np.std(values) / np.sqrt(draws)

    for shift in (0.0, 0.7):
        mean, error = mean_and_error(shift)
        expected = 2 / 3 ** (size / 2) * (1 - np.exp(-size * shift**2 / 6))
        assert abs(mean - expected) < 4 * error


def test_distances_are_none_below_zero():
    rows = tensor(1e3 + 1e-4 * s(6, 4))
    assert (squared_distances(rows, rows) >= 0).numpy().all()


def test_the_median_is_that_of_the_distances():
    distances = [np.square(s(4, 3)[:, None] - other[None]).sum(-1) for other in (k(4, 3), s(4, 3))]
    expected = sum(np.sort(d.ravel())[::-1][5] for d in distances)
    with tf.GradientTape() as tape:
        tape.watch(Q)
        value = median_variance(Q, P)
    assert float(value) == pytest.approx(expected, rel=1e-9) and tape.gradient(value, Q) is None


@pytest.mark.parametrize("kernel", [SEVEN, gaussian(1.0)], ids=["seven scales", "gaussian"])
def test_one_row_has_no_pairs(kernel):
    value = squared_mmd(Q[:1], P[:1], kernel)
    assert float(value) == pytest.approx(-2 * float(kernel(squared_distances(Q[:1], P[:1]))[0, 0]))
