"""How far the posteriors of N examples overlap where one of them has its codes.

For z_m drawn from the posterior of example i

    g_m = log sum_n q(z_m|x_n) / q(z_m|x_i) >= 0,

as the own term is 1: 0 where no other posterior reaches z_m, log N where all are alike, and
exp(-g_m) is the probability that z_m belongs to i.
"""

from __future__ import annotations

import math

import numpy as np

from zoo.evaluation.gaussians import log_normal
from zoo.evaluation.latent.aggregate_posterior import log_aggregate_posterior
from zoo.evaluation.latent.pairs import (
    BLOCK_BYTES,
    centre_of,
    coefficients,
    features,
    fold_pairs,
    rows_of_a_block,
)

# Nats of error, chosen, that float32 may show: its exp is 0 below -87, and a term that an error of
# 20 hides there is less than exp(-67) of the own one.
_MOST_ERROR = 20.0
_COMPONENTS = 1024  # looked at at once, chosen


def log_overlap(
    z: np.ndarray,
    index: np.ndarray,
    mean: np.ndarray,
    stddev: np.ndarray,
    block_bytes: int = BLOCK_BYTES,
) -> np.ndarray:
    """g `[M]`, nats, in float64; arguments as `log_overlap_in_float32`."""
    log_sum = log_aggregate_posterior(z, mean, stddev, block_bytes=block_bytes)
    log_sum += math.log(len(mean))
    return np.maximum(0, log_sum - log_normal(z, mean[index], stddev[index]))


def log_overlap_in_float32(
    z: np.ndarray,
    index: np.ndarray,
    mean: np.ndarray,
    stddev: np.ndarray,
    block_bytes: int = BLOCK_BYTES,
) -> tuple[np.ndarray, np.ndarray]:
    """g `[M]` by products in float32, and by how much each may be wrong `[M]`, nats.

    Every log density is taken less that of the own component, of the same rounded factors, and the
    own term is left out of the sum and put back as the 1 that it is: g is never negative, and
    where the others are small, so is their error. With u = 2^-24 a log density of the code z under
    the component n is wrong by about

        e = u sqrt(2 D) sum_d (z_d - centre_d)^2 / s_nd^2,

    at twice of which its term is taken to be too small: over eight orders of standard deviations
    and a trained encoder no error was above a quarter of that.

    Args:
        z: `[M, D]`, codes.
        index: `[M]`, the example whose posterior each was drawn from.
        mean: `[N, D]`.
        stddev: `[N, D]`, positive.
        block_bytes: bound of each large working array.

    Returns:
        g and its error; where float32 says nothing the error is infinite or NaN.
    """
    n, d = mean.shape
    centre, unit = centre_of(mean), 2.0**-24 * math.sqrt(2 * d)
    block = rows_of_a_block(d, block_bytes)
    # Of a component at its own codes, whose square about its mean is D on average.
    of_component = np.empty(n)
    for begin in range(0, n, _COMPONENTS):
        part = slice(begin, begin + _COMPONENTS)
        scaled = (mean[part] - centre) / stddev[part]
        of_component[part] = 2 * unit * (np.einsum("nd,nd->n", scaled, scaled) + d)
    overlap, error = np.full(len(z), np.nan), np.full(len(z), np.inf)
    if of_component.max() > _MOST_ERROR:
        return overlap, error
    # To each term the most that it may be: one product sums both.
    weights = np.stack([np.ones(n), np.exp(of_component)], axis=1).astype(np.float32)
    for begin in range(0, len(z), block):
        part = slice(begin, begin + block)
        own = index[part]
        left = np.empty((len(own), 2 * d + 1))
        features(z[part], centre, out=left)
        right = np.empty_like(left)
        coefficients(mean[own], stddev[own], centre, out=right)
        of_code = -4 * unit * np.einsum("md,md->m", left[:, :d], right[:, :d])
        left, right = left.astype(np.float32), right.astype(np.float32)
        log_own = np.einsum("mk,mk->m", left, right, dtype=np.float64).astype(np.float32)
        del right
        sums = _sums_of_others(left, own, log_own, mean, stddev, centre, weights, block_bytes)
        with np.errstate(over="ignore", invalid="ignore"):
            overlap[part] = np.log1p(sums[:, 0])
            most = np.log1p(np.exp(of_code) * sums[:, 1])
            error[part] = np.where(of_code > _MOST_ERROR, np.inf, most - overlap[part])
    return overlap, error


def _sums_of_others(
    left: np.ndarray,
    own: np.ndarray,
    log_own: np.ndarray,
    mean: np.ndarray,
    stddev: np.ndarray,
    centre: np.ndarray,
    weights: np.ndarray,
    block_bytes: int,
) -> np.ndarray:
    """sum over n other than `own` `[M]` of q(z_m|x_n)/q(z_m|x_own) weights_nk: `[M, K]`."""
    order = np.argsort(own, kind="stable")

    def fold(total: np.ndarray, rows: slice, part: slice, tile: np.ndarray) -> None:
        tile -= log_own[rows, None]
        inside = np.flatnonzero((own[rows] >= part.start) & (own[rows] < part.stop))
        tile[inside, own[rows][inside] - part.start] = -np.inf
        with np.errstate(over="ignore", invalid="ignore"):
            np.exp(tile, out=tile)
            total[rows] += tile @ weights[part]

    # In the order of their components few tiles hold an own term, and each is sought in those.
    left, own, log_own = left[order], own[order], log_own[order]
    shape = len(left), weights.shape[1]
    totals = fold_pairs(left, mean, stddev, centre, lambda: np.zeros(shape), fold, block_bytes)
    result = np.empty(shape)
    result[order] = np.sum(totals, axis=0)
    return result
