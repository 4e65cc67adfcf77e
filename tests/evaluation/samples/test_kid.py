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
    assert (result.blocks, result.standard_error) == (1, None)


def test_same_distribution_is_at_zero_and_another_is_not():
    generator = np.random.default_rng(1)
    a, b = generator.normal(size=(2, 2000, 8))
    same = kernel_distance(a, b, block_size=100)
    assert same.blocks == 20
    assert abs(same.value) < 4 * same.standard_error
    assert same.standard_error < 0.02
    other = kernel_distance(a, b + 0.5, block_size=100)
    assert other.value > 10 * other.standard_error


def test_order_of_the_examples_does_not_bias():
    """Sorted sets, cut into blocks unshuffled, would be compared part by part."""
    x = np.sort(np.random.default_rng(2).normal(size=(1000, 1)), axis=0)
    assert abs(kernel_distance(x, x[::-1].copy(), block_size=100).value) < 0.1


@pytest.mark.parametrize(
    ("real", "generated", "block_size", "message"),
    [
        (np.ones((1, 3)), np.ones((9, 3)), 1024, "1 real examples"),
        (np.ones((9, 3)), np.ones((9, 2)), 1024, "3 real and 2 generated"),
        (np.ones((100, 3)), np.ones((10, 3)), 10, "at least 2 of each per block"),
        (np.ones((9, 3)), np.full((9, 3), np.inf), 1024, "generated features hold"),
        (np.ones((9, 3)), np.ones((9, 3)), 1, "block_size=1"),
    ],
)
def test_guards(real, generated, block_size, message):
    with pytest.raises(UsageError, match=message):
        kernel_distance(real, generated, block_size=block_size)
