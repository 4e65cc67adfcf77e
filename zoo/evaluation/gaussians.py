"""Diagonal Gaussians in float64, with NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from zoo.errors import UsageError

_LOG_2PI = math.log(2 * math.pi)


def log_normal(
    z: np.ndarray, mean: np.ndarray | float = 0.0, stddev: np.ndarray | float = 1.0
) -> np.ndarray:
    """log N(z_m; mean_m, diag stddev_m^2) `[M]` of codes `[M, D]`, float64, nats; N(0, I) by
    default."""
    z, stddev = np.asarray(z, np.float64), np.asarray(stddev, np.float64)
    terms = np.square((z - mean) / stddev) + 2 * np.log(stddev)
    return -0.5 * (terms.sum(axis=1) + z.shape[1] * _LOG_2PI)


def normal_sampler(size: int, seed: int) -> Callable[[int], np.ndarray]:
    """A count -> that many draws of N(0, I), float32 `[count, size]`, fresh at every call."""
    generator = np.random.default_rng(seed)
    return lambda count: generator.standard_normal((count, size), np.float32)


def gaussian_kl(mean: np.ndarray, stddev: np.ndarray) -> np.ndarray:
    """KL(N(mean_n, diag stddev_n^2) || N(0, I)) of each of the [N, D] examples: [N], nats."""
    mean, stddev = check_posterior(mean, stddev)
    kl = np.empty(len(mean))
    for start in range(0, len(mean), 4096):  # float64 copies of a block, never of everything
        rows = slice(start, start + 4096)
        kl[rows] = _kl(mean[rows], stddev[rows]).sum(axis=1)
    return kl


def kl_of_dimensions(mean: np.ndarray, stddev: np.ndarray) -> np.ndarray:
    """The mean over N examples of KL(N(mean_ni, stddev_ni^2) || N(0, 1)): [D], nats, float64."""
    return _kl(*check_posterior(mean, stddev)).mean(axis=0)


def _kl(mean: np.ndarray, stddev: np.ndarray) -> np.ndarray:
    """KL(N(mean, stddev^2) || N(0, 1)) of each number."""
    m, s = mean.astype(np.float64), stddev.astype(np.float64)
    return 0.5 * (m * m + s * s - 1 - 2 * np.log(s))


def check_posterior(mean: np.ndarray, stddev: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means and standard deviations of N Gaussians, `[N, D]` both.

    Raises:
        UsageError: shapes disagree, a value is not finite or a standard deviation not positive.
    """
    mean, stddev = check_matrix("mean", mean), check_matrix("stddev", stddev)
    if mean.shape != stddev.shape:
        raise UsageError(f"stddev has shape {stddev.shape}: expected that of mean, {mean.shape}")
    if stddev.min() <= 0:
        raise UsageError(f"stddev={stddev.min():g} is not accepted: a density needs it above 0")
    return mean, stddev


def check_matrix(name: str, values: np.ndarray) -> np.ndarray:
    """`values` as a matrix that is not empty.

    Raises:
        UsageError: it is none, or holds a value that is not finite.
    """
    values = np.asarray(values)
    if values.ndim != 2 or 0 in values.shape:
        raise UsageError(f"{name} has shape {values.shape}: expected [rows, columns], not empty")
    # Minimum and maximum carry any NaN and need no temporary array.
    if not (np.isfinite(values.min()) and np.isfinite(values.max())):
        raise UsageError(f"{name} holds a value that is not finite: expected finite numbers")
    return values
