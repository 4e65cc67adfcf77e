import numpy as np
import pytest

from zoo.errors import UsageError
from zoo.evaluation.latent.active_units import active_units


def test_counts_the_dimensions_that_vary():
    base = np.array([-1.0, 1.0] * 50)
    base /= base.std(ddof=1)
    scales = np.sqrt([1.0, 0.02, 0.011, 0.009, 1e-6, 0.0])
    result = active_units((base[:, None] * scales + 1e3).astype(np.float64))
    assert result.count == 3
    np.testing.assert_allclose(result.variances, scales**2, atol=1e-9)
    assert (result.n, result.threshold) == (100, 0.01)
    assert active_units(base[:, None] * scales, threshold=0.015).count == 2


def test_float32_means_far_from_zero_are_measured_in_float64():
    mean = np.random.default_rng(0).normal(1000, 0.05, size=(100_000, 2)).astype(np.float32)
    expected = mean.astype(np.float64).var(axis=0, ddof=1)
    np.testing.assert_allclose(active_units(mean).variances, expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("mean", "message"),
    [
        (np.ones((1, 3)), "N at least 2"),
        (np.ones(5), "have shape|has shape"),
        (np.array([[1.0], [np.nan]]), "not finite"),
    ],
)
def test_guards(mean, message):
    with pytest.raises(UsageError, match=message):
        active_units(mean)
