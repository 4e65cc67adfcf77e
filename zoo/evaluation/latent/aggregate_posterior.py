"""The aggregate posterior of N encoded examples, the mixture q(z) = 1/N sum_n q(z|x_n).

Its density is exact over these examples, its draws come from an example by chance and then from
that example's q(z|x), a Gaussian or one that is carried through a flow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from zoo.data.images import ImageDataset
from zoo.errors import UsageError
from zoo.evaluation.gaussians import check_matrix, check_posterior
from zoo.evaluation.latent.pairs import (
    BLOCK_BYTES,
    centre_of,
    features,
    fold_pairs,
    rows_of_a_block,
)
from zoo.evaluation.subject.encodings import ENCODED_SPLITS, Encodings, images_at
from zoo.evaluation.subject.subject import Subject
from zoo.progress import progress_bar

_ROWS = 4096  # drawn at once, chosen


class Draws(NamedTuple):
    """Samples z_m ~ q(z|x_i), of posteriors that are Gaussians or carried through one flow.

    log q(z|x_n) = log N(base; mean_n, stddev_n) + log_det: each z is inverted once, whatever N.
    """

    example: np.ndarray  # [B], which i of the N examples each comes from
    base: np.ndarray  # [B, D], where the Gaussians live; the same as z where there is no flow
    z: np.ndarray  # [B, D], where the prior is evaluated
    log_det: np.ndarray  # [B], log |det d base / d z|


def draw_aggregate(encodings: Encodings, count: int, seed: int) -> Iterator[Draws]:
    """Blocks of draws of q(z), `count` in all: an example by chance, then its q(z|x). Every example
    has its turn before any has another.

    Raises:
        UsageError: the codes are those of a flow, which has to be run to draw them: see
            `draw_through_flow`.
    """
    if encodings.flow:
        raise UsageError("the posterior is a flow: expected a Gaussian")
    for chosen, generator in _examples(encodings, count, seed):
        noise = generator.standard_normal((len(chosen), encodings.mean.shape[1]))
        z = encodings.mean[chosen] + encodings.stddev[chosen] * noise
        yield Draws(chosen, z, z, np.zeros(len(z)))


def draw_through_flow(
    subject: Subject,
    dataset: ImageDataset,
    encodings: Encodings,
    count: int,
    seed: int,
    splits: Sequence[str] = ENCODED_SPLITS,
) -> Iterator[Draws]:
    """`draw_aggregate` of a posterior with a flow, from `sample_posterior` and `to_base`; the
    encodings are those of the splits."""
    drawn = 0
    for chosen, _ in _examples(encodings, count, seed):
        images = images_at(dataset, chosen, splits)
        z = subject.all("sample_posterior", images=images, seed=seed, first_row=drawn)["z"]
        flow = subject.all("to_base", z=z)
        yield Draws(chosen, flow["base"], z, flow["log_det"])
        drawn += len(chosen)


def _examples(
    encodings: Encodings, count: int, seed: int
) -> Iterator[tuple[np.ndarray, np.random.Generator]]:
    generator, n = np.random.default_rng(seed), len(encodings.mean)
    order = np.concatenate([generator.permutation(n) for _ in range(-(-count // n))])
    for start in range(0, count, _ROWS):
        yield order[start : min(start + _ROWS, count)], generator


def log_aggregate(
    subject: Subject, encodings: Encodings, z: np.ndarray, progress: bool = False
) -> np.ndarray:
    """log q(z) `[M]` of codes `[M, D]`, nats, through the flow where there is one."""
    moments = encodings.mean, encodings.stddev
    if not encodings.flow:
        return log_aggregate_posterior(z, *moments, progress=progress)
    flow = subject.all("to_base", z=z)
    return log_aggregate_posterior(flow["base"], *moments, progress=progress) + flow["log_det"]


def log_aggregate_posterior(
    z: np.ndarray,
    mean: np.ndarray,
    stddev: np.ndarray,
    *,
    block_bytes: int = BLOCK_BYTES,
    progress: bool = False,
) -> np.ndarray:
    """log q(z_m) = logsumexp_n log N(z_m; mean_n, diag stddev_n^2) - log N.

    The log densities of all pairs are a float64 product, made tile by tile and folded at once into
    a running maximum and sum. The expanded square cancels: the error is of the order
    1e-16 D (|z - centre| / s)^2 nats, 1e-6 for D = 100 and s = 1e-4; in float32 it would swamp the
    result.

    Args:
        z: [M, D].
        mean: [N, D].
        stddev: [N, D], positive.
        block_bytes: bound of each large working array.
        progress: show a bar on stderr.

    Returns:
        [M], float64, nats.

    Raises:
        UsageError: shapes disagree, a value is not finite or a standard deviation not positive.
    """
    z, (mean, stddev) = check_matrix("z", z), check_posterior(mean, stddev)
    if z.shape[1] != mean.shape[1]:
        raise UsageError(f"z has {z.shape[1]} dimensions: expected the posterior's {mean.shape[1]}")
    d, centre = z.shape[1], centre_of(mean)
    rows = rows_of_a_block(d, block_bytes)
    buffer, log_q = np.empty((min(rows, len(z)), 2 * d + 1)), np.empty(len(z))
    bar = progress_bar(progress, total=len(z), desc="log q(z)", unit=" samples", delay=2)
    with bar:
        for start in range(0, len(z), rows):
            block = z[start : start + rows]
            left = buffer[: len(block)]
            features(block, centre, out=left)
            log_q[start : start + rows] = _log_sum_exp(left, mean, stddev, centre, block_bytes)
            bar.update(len(block))
    return log_q - math.log(len(mean))


def _log_sum_exp(
    left: np.ndarray, mean: np.ndarray, stddev: np.ndarray, centre: np.ndarray, block_bytes: int
) -> np.ndarray:
    """log sum_n N(z_m; mean_n, diag stddev_n^2) `[M]` of codes with the features `left`."""

    def start() -> tuple[np.ndarray, np.ndarray]:
        return np.full(len(left), -np.inf), np.zeros(len(left))

    def fold(
        state: tuple[np.ndarray, np.ndarray], rows: slice, part: slice, tile: np.ndarray
    ) -> None:
        peak, total = state
        highest = np.maximum(peak[rows], tile.max(axis=1))
        tile -= highest[:, None]
        np.exp(tile, out=tile)
        total[rows] *= np.exp(peak[rows] - highest)
        total[rows] += tile.sum(axis=1)
        peak[rows] = highest

    states = fold_pairs(left, mean, stddev, centre, start, fold, block_bytes)
    return np.logaddexp.reduce([peak + np.log(total) for peak, total in states], axis=0)
