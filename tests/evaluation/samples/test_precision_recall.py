import numpy as np
import pytest
from scipy.spatial.distance import cdist

from zoo.errors import UsageError
from zoo.evaluation.samples.precision_recall import (
    density_coverage,
    errors_by_halves,
    precision_recall,
    precision_recall_curve,
)


def sample(n=60, d=4, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


@pytest.mark.parametrize("duplicates", [1, 4, 6])
def test_identical_sets_cover_each_other(duplicates):
    """With four of each, every radius is zero but for rounding."""
    for seed in range(30):
        x = 5 + np.repeat(sample(60 + seed, 40 + 3 * seed, seed), duplicates, axis=0)
        result = precision_recall(x, x[::-1].copy())
        assert (result.precision, result.recall) == (1, 1)


def test_disjoint_sets_cover_nothing():
    result = precision_recall(sample(), sample(seed=1) + 100)
    assert (result.precision, result.recall) == (0, 0)


def test_half_the_modes_is_full_precision_and_half_recall():
    modes = np.array([[0.0] * 4, [100.0] * 4])
    real = np.concatenate([modes[0] + sample(50), modes[1] + sample(50, seed=1)])
    generated = modes[0] + 0.01 * sample(100, seed=2)
    result = precision_recall(real, generated + real[0])
    assert result.precision == 1
    # The few real examples beside the narrow cluster of samples are all that it recalls.
    assert result.recall < 0.1
    covering = np.concatenate([real[:50], real[:50]])
    assert precision_recall(real, covering, neighbours=5).recall == pytest.approx(0.5)


@pytest.mark.parametrize("n", [50, 1500])
def test_agrees_with_all_pairs(n):
    real, generated = sample(n, 3), 0.7 * sample(n, 3, seed=1) + 0.5
    radius = {
        name: np.sort(cdist(x, x), axis=1)[:, 3] for name, x in (("r", real), ("g", generated))
    }
    between = cdist(real, generated)
    result = precision_recall(real, generated)
    assert result.precision == np.mean((between <= radius["r"][:, None]).any(axis=0))
    assert result.recall == np.mean((between <= radius["g"][None]).any(axis=1))
    assert 0.5 < result.recall < result.precision < 1


def test_density_and_coverage_of_three_points():
    """Of real 0, 1, 3 the balls of one neighbour are [-1, 1], [0, 2] and [1, 5]."""
    real, generated = np.array([[0.0], [1], [3]]), np.array([[0.5], [2.9], [10]])
    result = density_coverage(real, generated, neighbours=1)
    assert (result.density, result.coverage) == (1, 1)
    assert precision_recall(real, generated, neighbours=1).precision == pytest.approx(2 / 3)
    far = density_coverage(real, generated + 100, neighbours=1)
    assert (far.density, far.coverage) == (0, 0)


@pytest.mark.parametrize("n", [50, 1500])
def test_density_agrees_with_all_pairs(n):
    real, generated = sample(n, 3), 0.7 * sample(n, 3, seed=1) + 0.5
    inside = cdist(generated, real) <= np.sort(cdist(real, real), axis=1)[:, 5]
    result = density_coverage(real, generated)
    assert result.density == pytest.approx(inside.sum() / (5 * n), rel=1e-12)
    assert result.coverage == inside.any(axis=0).mean()


def test_copies_are_nothing_to_density_and_coverage():
    """Of a thousand fresh examples a tenth is replaced by real ones."""
    real, generated = sample(1000), sample(1000, seed=1)
    copied = np.concatenate([real[:100], generated[100:]])
    before, after = density_coverage(real, generated), density_coverage(real, copied)
    assert after.density == pytest.approx(before.density, abs=0.05)
    assert after.coverage == pytest.approx(before.coverage, abs=0.03)


def test_halves_have_the_error_of_a_mean():
    """Of a linear statistic it is that of the formula, up to the chance of eight halvings."""
    real, generated = sample(400, 1), 3 * sample(400, 1, seed=1)
    errors = errors_by_halves(lambda a, b: (a.mean(), b.mean()), real, generated, seed=2)
    expected = [side.std() / 20 for side in (real, generated)]
    np.testing.assert_allclose(errors, expected, rtol=0.5)
    many = [
        errors_by_halves(lambda a, b: (a.mean(), b.mean()), real, generated, seed)
        for seed in range(200)
    ]
    np.testing.assert_allclose(np.sqrt(np.square(many).mean(axis=0)), expected, rtol=0.06)


def test_curve_of_identical_and_disjoint_sets():
    x = sample(100)
    same = precision_recall_curve(x, x, runs=2)
    assert (same.f8, same.f_one_eighth) == pytest.approx((1, 1))
    assert same.precision.shape == same.recall.shape == (1001,)
    disjoint = precision_recall_curve(x, x + 1000, runs=2)
    assert (disjoint.f8, disjoint.f_one_eighth) == pytest.approx((0, 0), abs=1e-8)


def test_curve_tells_lost_recall_from_lost_precision():
    centres = 1000 * np.eye(10)
    all_modes, half = np.repeat(centres, 20, axis=0), np.repeat(centres[:5], 40, axis=0)
    noise = 0.01 * sample(200, 10)
    lost_recall = precision_recall_curve(all_modes + noise, half - noise, clusters=10, runs=1)
    # Five of ten modes: precision 1 is reached at recall 1/2.
    assert lost_recall.precision.max() == pytest.approx(1)
    assert lost_recall.recall.max() == pytest.approx(0.5)
    assert lost_recall.f_one_eighth > 0.98 > 0.55 > lost_recall.f8
    lost_precision = precision_recall_curve(half - noise, all_modes + noise, clusters=10, runs=1)
    assert lost_precision.f8 > 0.98 > 0.55 > lost_precision.f_one_eighth


@pytest.mark.parametrize("metric", [precision_recall, precision_recall_curve, density_coverage])
@pytest.mark.parametrize(
    ("real", "generated", "message"),
    [
        (sample(40), sample(41), "expected equal"),
        (sample(40), sample(40, d=3), "expected equal"),
        (sample(3), sample(3), "3 real examples"),
        (sample(40), sample(40) * np.nan, "generated features hold"),
    ],
)
def test_guards(metric, real, generated, message):
    with pytest.raises(UsageError, match=message):
        metric(real, generated)
