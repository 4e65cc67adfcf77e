import itertools

import numpy as np
import pytest

from zoo.errors import UsageError
from zoo.evaluation.samples.kid import kernel_distance


def test_estimate_is_unbiased():
    """Summed over all samples that two discrete distributions can give, it is MMD^2 exactly."""
    points = np.array([[0.0, 1.0], [2.0, -1.0], [0.5, 0.5]])
    p, q = np.array([0.2, 0.5, 0.3]), np.array([0.6, 0.1, 0.3])
    kernel = (points @ points.T / 2 + 1) ** 3
    exact = p @ kernel @ p + q @ kernel @ q - 2 * p @ kernel @ q
    expectation = 0.0
    for i, j, k, m in itertools.product(range(3), repeat=4):
        value = kernel_distance(points[[i, j]], points[[k, m]]).value
        expectation += p[i] * p[j] * q[k] * q[m] * value
    assert expectation == pytest.approx(exact, rel=1e-12)


def test_value_is_the_u_statistic():
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=(7, 3)), 1 + generator.normal(size=(5, 3))

    def k(x, y):
        return (x @ y / 3 + 1) ** 3

    within_a = np.mean([k(x, y) for x, y in itertools.permutations(a, 2)])
    within_b = np.mean([k(x, y) for x, y in itertools.permutations(b, 2)])
    between = np.mean([k(x, y) for x in a for y in b])
    result = kernel_distance(a, b)
    assert result.value == pytest.approx(within_a + within_b - 2 * between, rel=1e-12)
    of_a = [
        np.mean([k(a[i], x) for j, x in enumerate(a) if j != i]) - np.mean([k(a[i], y) for y in b])
        for i in range(7)
    ]
    of_b = [
        np.mean([k(b[i], x) for j, x in enumerate(b) if j != i]) - np.mean([k(b[i], y) for y in a])
        for i in range(5)
    ]
    error = np.sqrt(4 * np.var(of_a, ddof=1) / 7 + 4 * np.var(of_b, ddof=1) / 5)
    assert result.standard_error == pytest.approx(error, rel=1e-12)


def test_blocks_of_rows_make_no_difference(monkeypatch):
    a, b = np.random.default_rng(3).normal(size=(2, 50, 4))
    whole = kernel_distance(a, b)
    monkeypatch.setattr("zoo.evaluation.samples.kid._BLOCK", 7)
    parts = kernel_distance(a, b)
    assert parts.value == pytest.approx(whole.value, rel=1e-12)
    assert parts.standard_error == pytest.approx(whole.standard_error, rel=1e-12)


def test_same_distribution_is_at_zero_and_another_is_not():
    generator = np.random.default_rng(1)
    a, b = generator.normal(size=(2, 2000, 8))
    same = kernel_distance(a, b)
    assert abs(same.value) < 4 * same.standard_error
    assert same.standard_error < 0.02
    other = kernel_distance(a, b + 0.5)
    assert other.value > 10 * other.standard_error


def test_order_of_the_examples_does_not_matter():
    x = np.sort(np.random.default_rng(2).normal(size=(1000, 1)), axis=0)
    assert abs(kernel_distance(x, x[::-1].copy()).value) < 0.1


@pytest.mark.parametrize(
    ("real", "generated", "message"),
    [
        (np.ones((1, 3)), np.ones((9, 3)), "1 real examples"),
        (np.ones((9, 3)), np.ones((1, 3)), "1 generated examples"),
        (np.ones((9, 3)), np.ones((9, 2)), "3 real and 2 generated"),
        (np.ones((9, 3)), np.full((9, 3), np.inf), "generated features hold"),
    ],
)
def test_guards(real, generated, message):
    with pytest.raises(UsageError, match=message):
        kernel_distance(real, generated)
