"""The overlap of posteriors in float32 against float64, and where it gives up."""

import numpy as np
import pytest

from tests.evaluation.latent.test_marginal_kl import drawn, of
from zoo.evaluation.latent import marginal_kl as module
from zoo.evaluation.latent.marginal_kl import marginal_kl
from zoo.evaluation.latent.overlap import log_overlap, log_overlap_in_float32


def encoder(d, stddev, n=900, spread=0.0, collapsed=0, seed=0):
    rng = np.random.default_rng(seed)
    mean = rng.normal(size=(n, d)) * np.sqrt(max(0.0, 1 - stddev**2))
    stddevs = stddev * np.exp(spread * rng.normal(size=(n, d)))
    mean[:, :collapsed], stddevs[:, :collapsed] = 0, 1
    return mean, stddevs


@pytest.mark.parametrize(
    ("d", "stddev", "spread", "collapsed"),
    [
        (2, 0.5, 0, 0),
        (2, 0.1, 0, 0),
        (2, 0.1, 1.5, 0),
        (2, 1e-3, 0, 0),
        (10, 0.3, 0, 0),
        (10, 0.3, 1, 0),
        (20, 0.3, 0, 12),
        (50, 0.5, 0, 0),
        (50, 0.1, 0, 40),
        (128, 0.5, 0, 120),
    ],
)
def test_no_error_is_above_what_is_told(d, stddev, spread, collapsed):
    mean, stddevs = encoder(d, stddev, spread=spread, collapsed=collapsed)
    draws = drawn(mean, stddevs, 300)
    exact = log_overlap(draws.z, draws.example, mean, stddevs)
    for block_bytes in (40_000, 2**25):
        arguments = draws.z, draws.example, mean, stddevs, block_bytes
        found, error = log_overlap_in_float32(*arguments)
        assert (found >= 0).all() and np.isfinite(error).all()
        # Float64 has an error of its own, of 1e-16 D (|z - centre| / s)^2.
        assert (np.abs(found - exact) <= error + 1e-9 * (0.01 / min(stddev, 0.01)) ** 2).all()


def test_terms_that_float32_would_hide_are_not_looked_for_there():
    """Pairs of codes so narrow, and so far out, that an error of float32 is more than the term."""
    mean = np.repeat(np.arange(50.0), 2)[:, None] + np.zeros(3)
    stddev = np.full_like(mean, 1e-4)
    draws = drawn(mean, stddev, 250)
    _, error = log_overlap_in_float32(draws.z, draws.example, mean, stddev)
    assert not np.isfinite(error).any()
    result = marginal_kl(draws, mean, stddev)
    assert np.log(100) - result.mutual_information == pytest.approx(np.log(2), abs=1e-4)


def test_only_the_rows_that_need_it_are_made_again(monkeypatch):
    """Of two clusters one is narrow and far out: its codes are the ones that float32 gets wrong."""
    rng = np.random.default_rng(0)
    mean = np.concatenate([rng.normal(size=(200, 2)), 5 + 0.006 * rng.normal(size=(200, 2))])
    stddev = np.repeat([0.5, 0.003], 200)[:, None] + np.zeros(2)
    draws, again = drawn(mean, stddev, 600), []

    def spy(z, index, *rest):
        again.extend(index)
        return log_overlap(z, index, *rest)

    monkeypatch.setattr(module, "log_overlap", spy)
    result = marginal_kl(draws, mean, stddev)
    assert set(again) and set(again) <= set(range(200, 400))
    monkeypatch.setattr(
        module,
        "log_overlap_in_float32",
        lambda z, *_: (np.full(len(z), np.nan), np.full(len(z), np.nan)),
    )
    exact = marginal_kl(draws, mean, stddev)
    assert result.value == pytest.approx(exact.value, abs=0.1 * exact.standard_error)
    assert result.standard_error == pytest.approx(exact.standard_error, rel=0.01)


def test_a_density_ratio_beyond_the_range_of_float32():
    """A code of a wide posterior in the middle of a narrow one: the ratio is exp(150)."""
    mean, stddev = np.zeros((2, 30)), np.stack([np.ones(30), np.full(30, np.exp(-5))])
    z = np.concatenate([np.zeros((1, 30)), np.ones((2, 30))])
    index = np.zeros(3, int)
    _, error = log_overlap_in_float32(z, index, mean, stddev)
    assert not error[0] < 1 and error[1:].max() < 1e-6
    result = marginal_kl(of(z, index), mean, stddev)
    assert np.isfinite(result.value)
    assert log_overlap(z, index, mean, stddev)[0] == pytest.approx(150)
