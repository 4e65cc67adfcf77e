"""That standard errors are what they say: the spread of a number from one set to the next."""

import functools

import numpy as np
import pytest

from zoo.evaluation.samples import wasserstein_critic
from zoo.evaluation.samples.fid import jackknife_distance
from zoo.evaluation.samples.inception_score import inception_score
from zoo.evaluation.samples.kid import kernel_distance
from zoo.evaluation.samples.ms_ssim_diversity import ms_ssim_diversity
from zoo.evaluation.samples.precision_recall import ball_statistics, errors_by_halves
from zoo.evaluation.samples.wasserstein_critic import difference

pytestmark = pytest.mark.slow
SEEDS = range(20)


def features(seed, n=300, size=16, shift=0.3):
    """Of data, and of samples that are moved and narrower."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, size)), shift + 0.8 * rng.normal(size=(n, size))


def fid(seed):
    result = jackknife_distance(*features(seed))
    return result.value, result.standard_error


def inception_score_corrected(seed):
    rng = np.random.default_rng(seed)
    result = inception_score(rng.dirichlet(np.full(10, 0.1), size=500))
    return result.corrected, result.corrected_standard_error


def kid(seed):
    result = kernel_distance(*features(seed))
    return result.value, result.standard_error


def diversity(seed):
    """Of smooth images of one of three looks each, so that images differ in how alike they are."""
    rng = np.random.default_rng(seed)
    looks = np.random.default_rng(0).random((3, 4, 4, 1))[rng.integers(0, 3, 192)]
    coarse = 0.5 * looks + 0.5 * rng.random((192, 4, 4, 1)) * rng.random((192, 1, 1, 1))
    result = ms_ssim_diversity(coarse.repeat(4, axis=1).repeat(4, axis=2).astype(np.float32))
    return result.value, result.standard_error


def balls(which, seed):
    sides = features(seed, size=4)
    return ball_statistics(*sides)[which], errors_by_halves(ball_statistics, *sides, seed)[which]


def critic(seed):
    """The gap of images on two sides by three critics that see one direction, each more or less of
    it, and noise of their own; training critics of 20 sets would take minutes."""
    rng = np.random.default_rng(seed)
    images, samples = 1 + rng.normal(size=200), 2 * rng.normal(size=300)
    slopes = 3 + 0.2 * rng.normal(size=(wasserstein_critic.CRITICS, 1))
    scores = [
        slopes * side + rng.normal(size=(len(slopes), len(side))) for side in (images, samples)
    ]
    return difference(*scores)


MEASURED = {
    "fid": fid,
    "inception_score": inception_score_corrected,
    "kid": kid,
    "diversity": diversity,
    "precision": functools.partial(balls, 0),
    "recall": functools.partial(balls, 1),
    "density": functools.partial(balls, 2),
    "coverage": functools.partial(balls, 3),
    "wasserstein_critic": critic,
}


@pytest.mark.parametrize("name", MEASURED)
def test_the_spread_over_sets_is_the_error_that_is_told(name):
    values, errors = np.transpose([MEASURED[name](seed) for seed in SEEDS])
    assert 0.7 < values.std(ddof=1) / errors.mean() < 1.5


def test_kid_of_equal_distributions_overstates_its_error():
    """Its first-order terms vanish there: what they show is chance."""
    sides = (np.random.default_rng(seed).normal(size=(2, 300, 16)) for seed in SEEDS)
    results = [kernel_distance(*pair) for pair in sides]
    spread = np.std([r.value for r in results], ddof=1)
    assert 1 < np.mean([r.standard_error for r in results]) / spread < 3
