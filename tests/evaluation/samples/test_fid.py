import numpy as np
import pytest
import scipy.linalg

from zoo.errors import UsageError
from zoo.evaluation.samples.fid import (
    Moments,
    distance_of_moments,
    frechet_distance,
    jackknife_distance,
)


def with_moments(mean, covariance, n=500, seed=0):
    """A sample whose own mean and covariance are exactly these."""
    x = np.random.default_rng(seed).normal(size=(n, len(mean)))
    x -= x.mean(axis=0)
    x = np.linalg.solve(np.linalg.cholesky(np.cov(x.T)), x.T).T
    return mean + x @ np.linalg.cholesky(covariance).T


def test_diagonal_gaussians_have_a_closed_form():
    means = np.array([[0.0, 1.0, -2.0], [0.5, 1.0, 3.0]])
    stddevs = np.array([[1.0, 2.0, 0.1], [0.5, 2.0, 4.0]])
    expected = np.square(means[0] - means[1]).sum() + np.square(stddevs[0] - stddevs[1]).sum()
    sides = [with_moments(means[i], np.diag(stddevs[i] ** 2), seed=i) for i in range(2)]
    result = frechet_distance(*sides)
    assert result.value == pytest.approx(expected, rel=1e-9)
    assert (result.n, result.features, result.rank_deficient) == (500, 3, False)


def test_full_covariances_agree_with_the_matrix_root():
    generator = np.random.default_rng(1)
    covariances = [a @ a.T + 0.1 * np.eye(6) for a in generator.normal(size=(2, 6, 6))]
    sides = [with_moments(np.zeros(6), c, seed=i) for i, c in enumerate(covariances)]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1])
    expected = np.trace(covariances[0] + covariances[1] - 2 * root.real)
    assert frechet_distance(*sides).value == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("n", [20, 400])
def test_a_set_is_at_no_distance_from_itself(n):
    x = np.random.default_rng(2).normal(size=(n, 50))
    result = frechet_distance(x, x)
    assert 0 <= result.value < 1e-5
    assert result.rank_deficient == (n <= 50)


def test_moments_of_batches_are_those_of_the_whole():
    x = 1e4 + np.random.default_rng(3).normal(size=(100, 4))
    moments = Moments()
    for part in np.split(x, [1, 30, 33]):
        moments.update(part)
    assert moments.count == 100
    np.testing.assert_allclose(moments.mean, x.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(moments.covariance, np.cov(x.T), rtol=1e-7)


def test_moments_without_a_part_are_those_of_the_rest():
    x = 1e3 + np.random.default_rng(4).normal(size=(100, 4))
    sides = Moments(), Moments()
    for moments, rows in zip(sides, (x, x[20:30]), strict=True):
        moments.update(rows)
    rest, expected = sides[0].without(sides[1]), np.delete(x, np.s_[20:30], axis=0)
    assert rest.count == 90
    np.testing.assert_allclose(rest.mean, expected.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(rest.covariance, np.cov(expected.T), rtol=1e-7)


def draw(n, size, scale, shift, seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, size)), shift + scale * rng.normal(size=(n, size))


def test_the_jackknife_takes_the_bias_off():
    """N(0, I) against N(0.1, 1.1^2 I): D (c - 1)^2 + D shift^2 = 1.28, of which the plain value is
    off by twenty of its own deviations."""
    results = [jackknife_distance(*draw(500, 64, 1.1, 0.1, seed)) for seed in range(6)]
    plain, values = (
        np.array([pick(r) for r in results])
        for pick in (lambda r: r.plain.value, lambda r: r.value)
    )
    assert plain.mean() == pytest.approx(6.2, abs=0.3)
    assert values.mean() == pytest.approx(1.28, abs=3 * 0.214 / 6**0.5)
    errors = [r.standard_error for r in results]
    assert np.mean(errors) == pytest.approx(0.241, rel=0.3)
    assert np.mean([jackknife_distance(*draw(500, 16, 1, 0, s)).value for s in range(6)]) < 0.05


def test_too_few_examples_for_the_features_have_no_jackknife():
    """At N = 60 and D = 64 it would say 4.2 for 1.28."""
    assert jackknife_distance(*draw(95, 64, 1.1, 0.1, 0)) is None
    assert jackknife_distance(*draw(96, 64, 1.1, 0.1, 0)) is not None
    assert jackknife_distance(*draw(19, 2, 1.1, 0.1, 0)) is None


def test_moments_refuse_what_does_not_fit():
    moments = Moments()
    moments.update(np.ones((1, 3)))
    with pytest.raises(UsageError, match="1 examples have no covariance"):
        distance_of_moments(moments, moments)
    with pytest.raises(UsageError, match="4 features after 3"):
        moments.update(np.ones((2, 4)))


@pytest.mark.parametrize(
    ("real", "generated", "message"),
    [
        (np.ones((5, 3)), np.ones((6, 3)), "5 real and 6 generated"),
        (np.ones((5, 3)), np.ones((5, 2)), "3 real and 2 generated features"),
        (np.ones((1, 3)), np.ones((1, 3)), "1 real examples"),
        (np.full((5, 3), np.nan), np.ones((5, 3)), "real features hold"),
        (np.ones((5, 3)), np.ones(5), "generated features have shape"),
    ],
)
def test_guards(real, generated, message):
    with pytest.raises(UsageError, match=message):
        frechet_distance(real, generated)
