"""KL(q(z) || p(z)) by Monte Carlo, exact over the data set (Rosca et al. 2018, Algorithm 2 [D]).

The aggregate posterior of N encoded examples is the mixture q(z) = 1/N sum_n q(z|x_n), and

    KL(q(z) || p(z)) ~ mean_m [ log q(z_m) - log p(z_m) ],    z_m ~ q(z|x_m),  p = N(0, I).

The example that produced z_m stays in the sum over n: the estimate is then unbiased for the
mixture of these N examples. Leaving it out estimates nothing (50 dimensions, standard deviation
0.2, N = 10,000: -469 nats where the value is 71).

In expectation the value is at least average KL - log N, however well the population matches the
prior; with tens of dimensions and narrow posteriors it lies at that floor.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import threadpoolctl
from tqdm import tqdm

from zoo.errors import UsageError

_BLOCK_BYTES = 32 * 2**20  # chosen: bound of each large working array, of which a few live at once
_TILE = (256, 512)  # samples x components, chosen: 1 MiB of float64, so that exp runs in cache
_LOG_2PI = math.log(2 * math.pi)


class FlowSamples(NamedTuple):
    """Samples of a posterior that is a Gaussian carried through one flow, shared by all examples.

    log q(z|x_n) = log N(base; mean_n, stddev_n) + log_det: each z is inverted once, whatever N.
    """

    z: np.ndarray  # [B, D], where the prior is evaluated
    base: np.ndarray  # [B, D], z carried back through the flow to where the Gaussians live
    log_det: np.ndarray  # [B], log |det d base / d z|


@dataclasses.dataclass(frozen=True)
class MarginalKL:
    """The marginal KL and what it has to be read beside, in nats."""

    value: float  # KL(q(z) || p(z))
    standard_error: float  # of value, the M samples taken as independent
    average_kl: float  # mean over the N examples of KL(q(z|x_n) || p(z))
    average_kl_standard_error: float | None  # the N examples taken as a sample; None if N = 1
    log_n: float  # log N, the most mutual information that N examples can show
    floor: float  # max(0, average_kl - log_n), the least that value can be in expectation
    mutual_information: float  # average_kl - value (equation 5 [D]); expected in [0, log_n]
    mutual_information_standard_error: float  # for these N examples, whose average KL is no sample
    m: int  # samples
    n: int  # examples


def marginal_kl(
    samples: np.ndarray | FlowSamples,
    mean: np.ndarray,
    stddev: np.ndarray,
    *,
    conditional_kl: np.ndarray | None = None,
) -> MarginalKL:
    """Algorithm 2 on samples that are in memory; see `marginal_kl_stream`."""
    return marginal_kl_stream([samples], mean, stddev, conditional_kl=conditional_kl)


def marginal_kl_stream(
    blocks: Iterable[np.ndarray | FlowSamples],
    mean: np.ndarray,
    stddev: np.ndarray,
    *,
    conditional_kl: np.ndarray | None = None,
    block_bytes: int = _BLOCK_BYTES,
    total: int | None = None,
) -> MarginalKL:
    """Algorithm 2 on a stream of samples, of each of which only one number is kept.

    Args:
        blocks: z [B, D] or `FlowSamples`, of any and varying B: draws z_m ~ q(z|x_m), with x_m
            drawn uniformly from the N examples.
        mean: [N, D], posterior means of all examples (training and validation set [P]).
        stddev: [N, D], posterior standard deviations.
        conditional_kl: [N], KL(q(z|x_n) || p(z)) or unbiased estimates; needed with `FlowSamples`.
        block_bytes: bound of each large working array.
        total: samples to come, for a bar on stderr where it takes longer; None for no bar.

    Raises:
        UsageError: shapes disagree, a value is not finite, a standard deviation is not positive,
            there are fewer than two samples, or a flow comes without `conditional_kl`.
    """
    mean, stddev = _posterior(mean, stddev)
    n, d = mean.shape
    closed_form = conditional_kl is None
    kl = gaussian_kl(mean, stddev) if closed_form else np.asarray(conditional_kl, np.float64)
    if kl.shape != (n,) or not np.isfinite(kl).all():
        raise UsageError(f"conditional_kl has shape {kl.shape} or NaN: expected numbers, ({n},)")
    terms = [np.empty(0)]
    bar = tqdm(desc="marginal KL", unit=" samples", total=total, delay=2, disable=total is None)
    with bar:
        for z, base, log_det in _gather(blocks, block_bytes // (32 * d), not closed_form):
            log_q = log_aggregate_posterior(base, mean, stddev, block_bytes=block_bytes)
            terms.append(log_q + log_det - log_normal(z))
            bar.update(len(z))
    log_ratio = np.concatenate(terms)
    if len(log_ratio) < 2 or not np.isfinite(log_ratio).all():
        raise UsageError(f"{len(log_ratio)} samples of q(z): expected at least 2, and all finite")
    value, average_kl, log_n = float(log_ratio.mean()), float(kl.mean()), math.log(n)
    error = float(log_ratio.std(ddof=1) / math.sqrt(len(log_ratio)))
    average_error = float(kl.std(ddof=1) / math.sqrt(n)) if n > 1 else None
    return MarginalKL(
        value=value,
        standard_error=error,
        average_kl=average_kl,
        average_kl_standard_error=average_error,
        log_n=log_n,
        floor=max(0.0, average_kl - log_n),
        mutual_information=average_kl - value,
        # Estimates of the conditional KLs have noise of their own.
        mutual_information_standard_error=error
        if closed_form
        else math.hypot(error, average_error or 0.0),
        m=len(log_ratio),
        n=n,
    )


def gaussian_kl(mean: np.ndarray, stddev: np.ndarray) -> np.ndarray:
    """KL(N(mean_n, diag stddev_n^2) || N(0, I)) of each of the [N, D] examples: [N], nats."""
    mean, stddev = _posterior(mean, stddev)
    kl = np.empty(len(mean))
    for start in range(0, len(mean), 4096):  # float64 copies of a block, never of everything
        rows = slice(start, start + 4096)
        m, s = mean[rows].astype(np.float64), stddev[rows].astype(np.float64)
        kl[rows] = 0.5 * (m * m + s * s - 1 - 2 * np.log(s)).sum(axis=1)
    return kl


def log_normal(
    z: np.ndarray, mean: np.ndarray | float = 0.0, stddev: np.ndarray | float = 1.0
) -> np.ndarray:
    """log N(z_m; mean_m, diag stddev_m^2) `[M]` of codes `[M, D]`, float64, nats; of the prior by
    default."""
    z, stddev = np.asarray(z, np.float64), np.asarray(stddev, np.float64)
    terms = np.square((z - mean) / stddev) + 2 * np.log(stddev)
    return -0.5 * (terms.sum(axis=1) + z.shape[1] * _LOG_2PI)


def low_posterior(z: np.ndarray, log_q: np.ndarray, count: int, score: str = "log_q") -> np.ndarray:
    """Indices [count] of the samples least likely under q(z), lowest first (Algorithm 1 [D]).

    Args:
        z: [K, D], samples of the prior.
        log_q: [K], their `log_aggregate_posterior`, nats.
        count: how many to take.
        score: `log_q` ranks by q(z), as the paper's text does; `log_q_minus_log_p` by q(z)/p(z).

    Raises:
        UsageError: `count` is not in 1..K, `score` is unknown, or shapes or values do not fit.
    """
    z, log_q = _matrix("z", z), np.asarray(log_q, np.float64)
    if log_q.shape != (len(z),) or np.isnan(log_q).any():
        raise UsageError(f"log_q has shape {log_q.shape} or NaN: expected numbers, ({len(z)},)")
    if not 1 <= count <= len(z):
        raise UsageError(f"count={count} is not accepted: expected 1 to {len(z)}, the samples")
    if score == "log_q_minus_log_p":
        log_q = log_q - log_normal(z)
    elif score != "log_q":
        raise UsageError(f"score={score!r} is not accepted: expected log_q or log_q_minus_log_p")
    return np.argsort(log_q, kind="stable")[:count]


def log_aggregate_posterior(
    z: np.ndarray,
    mean: np.ndarray,
    stddev: np.ndarray,
    *,
    block_bytes: int = _BLOCK_BYTES,
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
    z, (mean, stddev) = _matrix("z", z), _posterior(mean, stddev)
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


def _coefficients(mean: np.ndarray, stddev: np.ndarray, centre: np.ndarray, out: np.ndarray):
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


def _gather(
    blocks: Iterable[np.ndarray | FlowSamples], rows: int, flow_allowed: bool
) -> Iterator[tuple[np.ndarray, ...]]:
    """Joins blocks to (z, base, log_det) of at least `rows` rows: BLAS is slow on few."""
    pending, count = [], 0
    for block in blocks:
        is_flow = isinstance(block, FlowSamples)
        if is_flow and not flow_allowed:
            raise UsageError("conditional_kl=None: with a flow, expected one estimate per example")
        z, base, log_det = map(np.asarray, block if is_flow else (block, block, 0.0))
        if base.shape != z.shape or log_det.shape not in ((), z.shape[:1]):
            shapes = z.shape, base.shape, log_det.shape
            raise UsageError(f"FlowSamples of {shapes}: expected [B, D], [B, D], [B]")
        pending.append((z, base, np.broadcast_to(log_det, z.shape[:1])))
        count += len(z)
        if count >= rows:
            yield tuple(map(np.concatenate, zip(*pending, strict=True)))
            pending, count = [], 0
    if pending:
        yield tuple(map(np.concatenate, zip(*pending, strict=True)))


def _posterior(mean: np.ndarray, stddev: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean, stddev = _matrix("mean", mean), _matrix("stddev", stddev)
    if mean.shape != stddev.shape:
        raise UsageError(f"stddev has shape {stddev.shape}: expected that of mean, {mean.shape}")
    if stddev.min() <= 0:
        raise UsageError(f"stddev={stddev.min():g} is not accepted: a density needs it above 0")
    return mean, stddev


def _matrix(name: str, values: np.ndarray) -> np.ndarray:
    values = np.asarray(values)
    if values.ndim != 2 or 0 in values.shape:
        raise UsageError(f"{name} has shape {values.shape}: expected [rows, columns], not empty")
    # Minimum and maximum carry any NaN and need no temporary array.
    if not (np.isfinite(values.min()) and np.isfinite(values.max())):
        raise UsageError(f"{name} holds a value that is not finite: expected finite numbers")
    return values
