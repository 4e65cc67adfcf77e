"""log q(z) of the aggregate posterior against TFP's broadcast mixture and the bare GEMM."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from benchmarks.timing import Comparison, interleaved, seconds
from zoo.evaluation.marginal_kl import log_aggregate_posterior

EXAMPLES, DIMENSIONS = 20_000, 100
CHUNK = 64  # samples the reference takes at once: its [64, N, D] of float64 are 1 GB
REPEATS = {64: 5, 512: 3}  # by samples
TOLERANCE = 1e-4  # nats


def run() -> list[Comparison]:
    """Two rows for each number of samples.

    Raises:
        AssertionError: the two results differ by more than `TOLERANCE`.
    """
    return [row for samples in REPEATS for row in _compare(samples)]


def _compare(samples: int) -> list[Comparison]:
    rng = np.random.default_rng(0)
    mean = rng.standard_normal((EXAMPLES, DIMENSIONS))
    # Wide enough that many components count for each sample, or an error in the sum would not show.
    stddev = np.exp(0.2 * rng.standard_normal((EXAMPLES, DIMENSIONS)))
    source = rng.integers(EXAMPLES, size=samples)
    z = mean[source] + stddev[source] * rng.standard_normal((samples, DIMENSIONS))

    reference = _reference(mean, stddev)
    np.testing.assert_allclose(
        log_aggregate_posterior(z, mean, stddev), reference(z), rtol=0, atol=TOLERANCE
    )

    left = rng.standard_normal((samples, 2 * DIMENSIONS + 1))
    right = rng.standard_normal((EXAMPLES, 2 * DIMENSIONS + 1)).T
    product = np.empty((samples, EXAMPLES))

    def ours() -> float:
        return seconds(lambda: log_aggregate_posterior(z, mean, stddev))

    def theirs() -> float:
        return seconds(lambda: reference(z))

    def gemm() -> float:
        return seconds(lambda: np.matmul(left, right, out=product))

    what = f"log_aggregate_posterior, N={EXAMPLES:,} D={DIMENSIONS} M={samples}"
    chunked = f" in chunks of {CHUNK}" if samples > CHUNK else ""
    repeats = REPEATS[samples]
    return [
        Comparison(
            what,
            f"TFP MixtureSameFamily, float64{chunked}",
            interleaved(ours, theirs, repeats, warm=True),
            "at most 0.1",
        ),
        Comparison(what, "its float64 GEMM alone", interleaved(ours, gemm, 3 * repeats), "-"),
    ]


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
