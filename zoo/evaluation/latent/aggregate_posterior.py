"""The aggregate posterior of N encoded examples, the mixture q(z) = 1/N sum_n q(z|x_n).

Its density is exact over these examples, its draws come from an example by chance and then from
that example's q(z|x), a Gaussian or one that is carried through a flow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import threadpoolctl
from tqdm import tqdm

from zoo.data.images import ImageDataset
from zoo.errors import UsageError
from zoo.evaluation.gaussians import check_matrix, check_posterior, log_normal
from zoo.evaluation.subject.encodings import Encodings, images_at
from zoo.evaluation.subject.subject import Subject

BLOCK_BYTES = 32 * 2**20  # chosen: bound of each large working array, of which a few live at once
_TILE = (256, 512)  # samples x components, chosen: 1 MiB of float64, so that exp runs in cache
_LOG_2PI = math.log(2 * math.pi)
_ROWS = 4096  # drawn at once, chosen


class FlowSamples(NamedTuple):
    """Samples of a posterior that is a Gaussian carried through one flow, shared by all examples.

    log q(z|x_n) = log N(base; mean_n, stddev_n) + log_det: each z is inverted once, whatever N.
    """

    z: np.ndarray  # [B, D], where the prior is evaluated
    base: np.ndarray  # [B, D], z carried back through the flow to where the Gaussians live
    log_det: np.ndarray  # [B], log |det d base / d z|


def draw_aggregate(encodings: Encodings, count: int, seed: int) -> Iterator[np.ndarray]:
    """Blocks of draws z `[B, D]` of q(z), `count` in all: an example by chance, then its q(z|x).

    Raises:
        UsageError: the codes are those of a flow, which has to be run to draw them: see
            `draw_through_flow`.
    """
    if encodings.flow:
        raise UsageError("the posterior is a flow: expected a Gaussian")
    for chosen, generator in _examples(encodings, count, seed):
        noise = generator.standard_normal((len(chosen), encodings.mean.shape[1]))
        yield encodings.mean[chosen] + encodings.stddev[chosen] * noise


def draw_through_flow(
    subject: Subject, dataset: ImageDataset, encodings: Encodings, count: int, seed: int
) -> Iterator[FlowSamples]:
    """`draw_aggregate` of a posterior with a flow, from `sample_posterior` and `to_base`."""
    drawn = len(encodings.mean)  # the rows before are those of `drawn_kl`
    for chosen, _ in _examples(encodings, count, seed):
        yield _posterior_draws(subject, images_at(dataset, chosen), seed, drawn)
        drawn += len(chosen)


def drawn_kl(
    subject: Subject, dataset: ImageDataset, encodings: Encodings, seed: int
) -> np.ndarray:
    """Unbiased estimates log q(z|x_n) - log p(z) of the N conditional KLs, nats, from one draw z of
    each posterior."""
    kl = np.empty(len(encodings.mean))
    for start in tqdm(range(0, len(kl), _ROWS), desc="average KL", unit_scale=_ROWS, delay=2):
        rows = np.arange(start, min(start + _ROWS, len(kl)))
        moments = encodings.mean[rows], encodings.stddev[rows]
        if encodings.flow:
            draw = _posterior_draws(subject, images_at(dataset, rows), seed, start)
        else:
            noise = np.random.default_rng((seed, start)).standard_normal(moments[0].shape)
            z = moments[0] + moments[1] * noise
            draw = FlowSamples(z, z, np.zeros(len(z)))
        log_q = log_normal(draw.base, *moments) + draw.log_det
        kl[rows] = log_q - subject.log_prior(draw.z)
    return kl


def _examples(
    encodings: Encodings, count: int, seed: int
) -> Iterator[tuple[np.ndarray, np.random.Generator]]:
    generator = np.random.default_rng(seed)
    for start in range(0, count, _ROWS):
        yield generator.integers(len(encodings.mean), size=min(_ROWS, count - start)), generator


def _posterior_draws(
    subject: Subject, images: np.ndarray, seed: int, first_row: int
) -> FlowSamples:
    z = subject.all("sample_posterior", images=images, seed=seed, first_row=first_row)["z"]
    return FlowSamples(z, **subject.all("to_base", z=z))


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

    The log densities of all pairs are one float64 matrix product, [z^2, z, 1] times
    [-1/(2 s^2), mean/s^2, constant], made tile by tile and folded at once into a running maximum
    and sum: memory does not grow with N. (Two products would write every tile twice.) The
    expanded square cancels: the error is of the order 1e-16 D (|z - centre| / s)^2 nats, 1e-6 for
    D = 100 and s = 1e-4; in float32 it would swamp the result.

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
    d, centre = z.shape[1], mean.mean(axis=0, dtype=np.float64)  # least cancellation about it
    rows = max(1, min(2**16, block_bytes // (8 * (2 * d + 1))))
    features, log_q = np.ones((min(rows, len(z)), 2 * d + 1)), np.empty(len(z))
    bar = tqdm(total=len(z), desc="log q(z)", unit=" samples", delay=2, disable=not progress)
    with bar:
        for start in range(0, len(z), rows):
            block = z[start : start + rows]
            left = features[: len(block)]
            np.subtract(block, centre, out=left[:, d:-1])
            np.square(left[:, d:-1], out=left[:, :d])
            log_q[start : start + rows] = _log_sum_exp(left, mean, stddev, centre, block_bytes)
            bar.update(len(block))
    return log_q - math.log(len(mean))


def _log_sum_exp(
    features: np.ndarray, mean: np.ndarray, stddev: np.ndarray, centre: np.ndarray, block_bytes: int
) -> np.ndarray:
    """log sum_n exp(features_m . coefficients_n): [M].

    BLAS works on one thread and Python threads, as many as BLAS would use, each take a share of
    the components: exp and maximum then run on all cores too, and no thread waits for another.
    """
    n, width = len(mean), features.shape[1]
    blas = threadpoolctl.ThreadpoolController().select(user_api="blas")
    threads = max((library["num_threads"] for library in blas.info()), default=1)
    columns = max(1, min(_TILE[1], n, block_bytes // (8 * max(width, _TILE[0]) * threads)))
    threads = min(threads, -(-n // columns))

    def share(first: int) -> np.ndarray:
        coefficients, buffer = np.empty((columns, width)), np.empty(_TILE[0] * columns)
        peak, total = np.full(len(features), -np.inf), np.zeros(len(features))
        for start in range(first * columns, n, threads * columns):
            part = slice(start, min(start + columns, n))
            right = coefficients[: part.stop - start]
            _coefficients(mean[part], stddev[part], centre, out=right)
            for top in range(0, len(features), _TILE[0]):
                rows = slice(top, top + _TILE[0])
                left = features[rows]
                tile = buffer[: len(left) * len(right)].reshape(len(left), len(right))
                np.matmul(left, right.T, out=tile)
                highest = np.maximum(peak[rows], tile.max(axis=1))
                tile -= highest[:, None]
                np.exp(tile, out=tile)
                total[rows] *= np.exp(peak[rows] - highest)
                total[rows] += tile.sum(axis=1)
                peak[rows] = highest
        return peak + np.log(total)

    with blas.limit(limits=1), ThreadPoolExecutor(threads) as pool:
        return np.logaddexp.reduce(list(pool.map(share, range(threads))), axis=0)


def _coefficients(
    mean: np.ndarray, stddev: np.ndarray, centre: np.ndarray, out: np.ndarray
) -> None:
    """Fills `out` with [-1/(2 s^2), mean/s^2, the rest of log N(z; mean, s)] about `centre`."""
    d = len(centre)
    quadratic, linear, constant = out[:, :d], out[:, d:-1], out[:, -1]
    np.log(stddev, out=linear, dtype=np.float64)
    constant[:] = -linear.sum(axis=1) - 0.5 * d * _LOG_2PI
    np.square(stddev, out=quadratic, dtype=np.float64)
    np.divide(-0.5, quadratic, out=quadratic)
    np.subtract(mean, centre, out=linear)
    constant += np.einsum("nd,nd,nd->n", linear, linear, quadratic)
    linear *= quadratic
    linear *= -2
