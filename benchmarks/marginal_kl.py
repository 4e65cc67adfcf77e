"""log q(z) of the aggregate posterior against TFP's broadcast mixture and the bare GEMM."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from benchmarks.timing import Comparison, interleaved, seconds
from zoo.evaluation.latent.aggregate_posterior import log_aggregate_posterior

EXAMPLES, DIMENSIONS = 20_000, 100
CHUNK = 64  # samples the reference takes at once: its [64, N, D] of float64 are 1 GB
REPEATS = {64: 5, 512: 3}  # against TFP, by samples
MANY = 8192  # against the matrix product alone, of which the preparation of N components is no part
TOLERANCE = 1e-4  # nats


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
    return rows + [_against_gemm(z[:samples], mean, stddev) for samples in (*REPEATS, MANY)]


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
