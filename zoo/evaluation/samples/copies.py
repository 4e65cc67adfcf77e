"""Tests of generated examples for copies of the examples that their model was trained on."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import threadpoolctl
from scipy.stats import binom, hypergeom, rankdata
from sklearn.neighbors import NearestNeighbors

SMALLEST = (5, 10, 20, 50, 100)  # how many of the pooled numbers count as the tail; chosen
NEARER = 0.7  # than the second nearest, for a neighbour to be one; chosen

_SHARES = (0.001, 0.005, 0.01, 0.02, 0.05)  # of the held-out, below which copies are sought; chosen

# Threads that wait for each other cost a hundred times such small products on a busy machine.
one_thread = threadpoolctl.threadpool_limits.wrap(limits=1)


def left_tail(generated: np.ndarray, held_out: np.ndarray, seed: int = 0) -> float:
    """p value of "no more of the smallest numbers are generated than chance makes so".

    Both are pooled, equal ones in random order. That c_j of the j smallest are generated has a
    hypergeometric law if the two are exchangeable, so 5 min_j P(C >= c_j) over five j is a p value,
    whatever law the numbers have. It takes about ten copies among the samples.

    Args:
        generated: `[n]`.
        held_out: `[m]`.
        seed: of the order of equal numbers.
    """
    values, n = np.concatenate([generated, held_out]), len(generated)
    order = np.random.default_rng(seed).permutation(len(values))
    counts = np.cumsum(order[np.argsort(values[order], kind="stable")] < n)
    sizes = [j for j in SMALLEST if j <= len(values)]
    smallest = min(hypergeom.sf(counts[j - 1] - 1, len(values), n, j) for j in sizes)
    return min(1.0, len(sizes) * float(smallest))


def copied_share(generated: np.ndarray, held_out: np.ndarray) -> tuple[float, float]:
    """By how much more samples `[n]` lie below small quantiles of the held-out `[m]`, as the share
    of samples that are no fresh ones, and its standard error at the quantile that shows the most:
    max (F_g - F_t) / (1 - F_t). Being a maximum it is too large by about 0.005."""
    best = (0.0, 0.0)
    for point in np.quantile(held_out, _SHARES, method="inverted_cdf"):
        of_samples, known = (float((side <= point).mean()) for side in (generated, held_out))
        if known < 1 and (of_samples - known) / (1 - known) > best[0]:
            variances = (
                share * (1 - share) / len(side)
                for share, side in ((of_samples, generated), (known, held_out))
            )
            scale = 1 - known
            best = ((of_samples - known) / scale, math.sqrt(sum(variances)) / scale)
    return best


@dataclasses.dataclass(frozen=True)
class PooledLabels:
    """Of whom samples are neighbours: of training or of held-out images."""

    p_value: float
    neighbours: int  # images that a sample is clearly nearest to
    held_out: int  # of them


@one_thread
def pooled_labels(train: np.ndarray, held_out: np.ndarray, generated: np.ndarray) -> PooledLabels:
    """Whether the images that samples are clearly nearest to are held-out ones as often as chance
    makes them so, m of N + m, which is so for samples of any quality that know neither.

    Clearly: by less than 0.7 of the distance to the second nearest of all. Each image counts once.

    Args:
        train: codes `[N, K]`.
        held_out: codes `[m, K]`.
        generated: codes `[n, K]`.
    """
    sides = [
        NearestNeighbors(n_neighbors=2, algorithm="brute").fit(side).kneighbors(generated)
        for side in (train, held_out)
    ]
    distances = np.concatenate([distance for distance, _ in sides], axis=1)
    index = np.concatenate([sides[0][1], len(train) + sides[1][1]], axis=1)
    order = np.argsort(distances, axis=1, kind="stable")[:, :2]
    nearest, second = np.take_along_axis(distances, order, axis=1).T
    clear = index[np.arange(len(index)), order[:, 0]][nearest < NEARER * second]
    found = np.unique(clear)
    of_held_out = int((found >= len(train)).sum())
    chance = len(held_out) / (len(train) + len(held_out))
    return PooledLabels(float(binom.cdf(of_held_out, len(found), chance)), len(found), of_held_out)


def c_t(
    generated: np.ndarray,
    held_out: np.ndarray,
    cells: tuple[np.ndarray, np.ndarray] | None = None,
) -> float:
    """C_T (Meehan et al. 2020 [R]) as a z-score: below 0 where samples are nearer to training
    images than held-out ones are. In each cell the Mann-Whitney statistic of the distances

        z = (U - n m / 2) / sqrt(n m (n + m + 1) / 12),

    in the mean by the held-out share w of the cell, and, unlike the published mean, divided by
    sqrt(sum w^2): without it the deviation is 0.4 with eight cells, not 1.

    Args:
        generated: distances `[n]`.
        held_out: distances `[m]`.
        cells: the cell `[n]` and `[m]` of each; all are in one by default. Cells that one side has
            nothing in do not count.
    """
    places = cells or (np.zeros(len(generated), int), np.zeros(len(held_out), int))
    scores, weights = [], []
    for cell in np.intersect1d(*places):
        parts = generated[places[0] == cell], held_out[places[1] == cell]
        n, m = map(len, parts)
        u = rankdata(np.concatenate(parts))[:n].sum() - n * (n + 1) / 2
        scores.append((u - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12))
        weights.append(m)
    return float(np.dot(weights, scores) / np.linalg.norm(weights)) if scores else 0.0
