import numpy as np
import pytest
import scipy.linalg

from zoo.errors import UsageError
from zoo.evaluation.samples.fid import Moments, distance_of_moments, frechet_distance


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
    assert result.standard_error is None


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
