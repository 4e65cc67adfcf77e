"""How sure a mean over the lowest is; the metric itself is tested among those of images."""

import numpy as np
import pytest

from zoo.evaluation.latent.low_posterior import tail_error


@pytest.mark.parametrize("correlation", [1.0, 0.5, 0.0])
def test_the_error_of_a_tail_is_that_of_its_threshold_too(rng, correlation):
    """Over fresh samples, of what ranks them and of what goes along with it more or less."""
    samples, count, repeats = 2000, 200, 500
    rank, other = rng.normal(size=(2, repeats, samples))
    lowest = np.argsort(rank, axis=1)[:, :count]
    values = correlation * rank + np.sqrt(1 - correlation**2) * other
    tails = np.take_along_axis(values, lowest, axis=1)
    spread = tails.mean(axis=1).std(ddof=1)
    stated = np.mean([tail_error(tail, samples) for tail in tails])
    assert stated == pytest.approx(spread, rel=0.12)
    of_spread_alone = np.mean(tails.std(axis=1, ddof=1)) / np.sqrt(count)
    assert (of_spread_alone < 0.8 * spread) == (correlation == 1.0)
