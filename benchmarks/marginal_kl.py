"""log q(z) of the aggregate posterior against TFP's broadcast mixture and the bare GEMM; the
marginal KL with its control variate against the plain mean."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from benchmarks.timing import Comparison, interleaved, seconds
from zoo.evaluation.gaussians import gaussian_kl, log_normal
from zoo.evaluation.latent.aggregate_posterior import Draws, log_aggregate_posterior
from zoo.evaluation.latent.marginal_kl import DEFAULT_SAMPLES, ENOUGH_SAMPLES, marginal_kl
from zoo.evaluation.statistics import standard_error

EXAMPLES, DIMENSIONS = 20_000, 100
CHUNK = 64  # samples the reference takes at once: its [64, N, D] of float64 are 1 GB
REPEATS = {64: 5, 512: 3}  # against TFP, by samples
MANY = 8192  # against the matrix product alone, of which the preparation of N components is no part
TOLERANCE = 1e-4  # nats

# An encoder as a trained one: of its dimensions these are in use, with about 24 nats in all.
ENCODED, LATENTS, USED, STDDEV = 60_000, 50, 20, 0.3
WANTED = 0.01  # standard error, nats


def run() -> list[Comparison]:
    """One row against TFP for each number of samples, and rows against the bare GEMM.

    Raises:
        AssertionError: the two results differ by more than `TOLERANCE`.
    """
    rng = np.random.default_rng(0)
    mean = rng.standard_normal((EXAMPLES, DIMENSIONS))
    # Wide enough that many components count for each sample, or an error in the sum would not show.
    stddev = np.exp(0.2 * rng.standard_normal((EXAMPLES, DIMENSIONS)))
    source = rng.integers(EXAMPLES, size=MANY)
    z = mean[source] + stddev[source] * rng.standard_normal((MANY, DIMENSIONS))
    rows = [_against_tfp(z[:samples], mean, stddev) for samples in REPEATS]
    rows += [_against_gemm(z[:samples], mean, stddev) for samples in (*REPEATS, MANY)]
    return rows + _against_plain_mean()


def _what(z: np.ndarray) -> str:
    return f"log_aggregate_posterior, N={EXAMPLES:,} D={DIMENSIONS} M={len(z):,}"


def _against_tfp(z: np.ndarray, mean: np.ndarray, stddev: np.ndarray) -> Comparison:
    reference = _reference(mean, stddev)
    np.testing.assert_allclose(
        log_aggregate_posterior(z, mean, stddev), reference(z), rtol=0, atol=TOLERANCE
    )
    chunked = f" in chunks of {CHUNK}" if len(z) > CHUNK else ""
    pairs = interleaved(
        lambda: seconds(lambda: log_aggregate_posterior(z, mean, stddev)),
        lambda: seconds(lambda: reference(z)),
        REPEATS[len(z)],
        warm=True,
    )
    peer = f"TFP MixtureSameFamily, float64{chunked}"
    return Comparison(_what(z), peer, pairs, "at most 1/12")


def _against_gemm(z: np.ndarray, mean: np.ndarray, stddev: np.ndarray) -> Comparison:
    """The product is made in one piece, into memory that is there already."""
    rng = np.random.default_rng(0)
    left = rng.standard_normal((len(z), 2 * DIMENSIONS + 1))
    right = rng.standard_normal((EXAMPLES, 2 * DIMENSIONS + 1)).T
    product = np.empty((len(z), EXAMPLES))
    pairs = interleaved(
        lambda: seconds(lambda: log_aggregate_posterior(z, mean, stddev)),
        lambda: seconds(lambda: np.matmul(left, right, out=product)),
        9,
    )
    target = "at most 1.5" if len(z) == MANY else "-"
    return Comparison(_what(z), "its float64 GEMM alone", pairs, target)


def _against_plain_mean() -> list[Comparison]:
    """Time to a standard error, and peak memory, of `DEFAULT_SAMPLES` draws each.

    The time to an error is that of the draws times the square of the error they leave over the one
    that is wanted; of the line no fewer than `ENOUGH_SAMPLES` draws count.

    Raises:
        AssertionError: the two values differ by more than their errors.
    """
    rng = np.random.default_rng(1)
    mean = np.zeros((ENCODED, LATENTS), np.float32)
    mean[:, :USED] = math.sqrt(1 - STDDEV**2) * rng.standard_normal((ENCODED, USED))
    stddev = np.where(np.arange(LATENTS) < USED, STDDEV, 1) + np.zeros_like(mean)
    stddev = stddev.astype(np.float32)
    index = rng.permutation(ENCODED)[:DEFAULT_SAMPLES]
    z = mean[index] + stddev[index] * rng.standard_normal((len(index), LATENTS))
    draws = Draws(index, z, z, np.zeros(len(z)))

    def plain() -> tuple[float, float]:
        gaussian_kl(mean, stddev)
        terms = log_aggregate_posterior(z, mean, stddev) - log_normal(z)
        return float(terms.mean()), standard_error(terms)

    result, (value, error) = marginal_kl(draws, mean, stddev), plain()
    assert abs(result.value - value) < 4 * math.hypot(result.standard_error, error)
    ours = max((result.standard_error / WANTED) ** 2, ENOUGH_SAMPLES / DEFAULT_SAMPLES)
    pairs = interleaved(
        lambda: ours * seconds(lambda: marginal_kl(draws, mean, stddev)),
        lambda: (error / WANTED) ** 2 * seconds(plain),
        3,
        warm=True,
    )
    what = f"N={ENCODED:,} D={LATENTS}, to a standard error of {WANTED} nats"
    time = Comparison(f"marginal_kl, {what}", "plain mean and average KL", pairs, "at most 1/100")
    peaks = ((_peak(lambda: marginal_kl(draws, mean, stddev)), _peak(plain)),)
    what = f"marginal_kl, M={DEFAULT_SAMPLES:,}: peak memory"
    return [time, Comparison(what, "plain mean and average KL", peaks, "at most 1", unit="MB")]


def _peak(call: Callable[[], object]) -> float:
    """MB that Python's and NumPy's allocations reach."""
    tracemalloc.start()
    call()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / 1e6


def _reference(mean: np.ndarray, stddev: np.ndarray):
    """log q of z `[M, D]` by broadcasting every sample against every component."""
    tfd = tfp.distributions
    # Constants of the graph would be limited to 2 GB and folded at tracing time.
    mean, stddev = tf.Variable(mean), tf.Variable(stddev)

    @tf.function
    def log_prob(z):
        mixture = tfd.MixtureSameFamily(
            tfd.Categorical(logits=tf.zeros(len(mean), tf.float64)),
            tfd.MultivariateNormalDiag(mean, stddev),
        )
        return mixture.log_prob(z)

    def chunks(z: np.ndarray) -> np.ndarray:
        parts = [log_prob(tf.constant(z[i : i + CHUNK])) for i in range(0, len(z), CHUNK)]
        return np.concatenate([part.numpy() for part in parts])

    return chunks
