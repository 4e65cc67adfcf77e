"""Log densities of all pairs of M codes and N diagonal Gaussians, as matrix products in tiles.

About a common centre log N(z_m; mean_n, diag stddev_n^2) is the product of [z^2, z, 1] and
[-1/(2 s^2), mean/s^2, constant]. A tile of it is made and folded at once: memory does not grow
with N, and what follows the product runs in cache. (Two products would write every tile twice.)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import threadpoolctl

BLOCK_BYTES = 32 * 2**20  # chosen: bound of each large working array, of which a few live at once
_TILE = (256, 512)  # samples x components, chosen: 1 MiB of float64, so that exp runs in cache
_LOG_2PI = math.log(2 * math.pi)

State = TypeVar("State")


def centre_of(mean: np.ndarray) -> np.ndarray:
    """`[D]`, about which the expanded squares cancel least."""
    return mean.mean(axis=0, dtype=np.float64)


def rows_of_a_block(d: int, block_bytes: int) -> int:
    """So many codes of D dimensions have features of `block_bytes` in float64."""
    return max(1, min(2**16, block_bytes // (8 * (2 * d + 1))))


def features(z: np.ndarray, centre: np.ndarray, out: np.ndarray) -> None:
    """Fills `out` `[M, 2 D + 1]` with [z^2, z, 1] about `centre`."""
    d = len(centre)
    np.subtract(z, centre, out=out[:, d:-1])
    np.square(out[:, d:-1], out=out[:, :d])
    out[:, -1] = 1


def coefficients(mean: np.ndarray, stddev: np.ndarray, centre: np.ndarray, out: np.ndarray) -> None:
    """Fills `out` `[N, 2 D + 1]` with [-1/(2 s^2), mean/s^2, the rest of the log density]."""
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


def fold_pairs(
    left: np.ndarray,
    mean: np.ndarray,
    stddev: np.ndarray,
    centre: np.ndarray,
    start: Callable[[], State],
    fold: Callable[[State, slice, slice, np.ndarray], None],
    block_bytes: int = BLOCK_BYTES,
) -> list[State]:
    """Folds the log densities of all pairs, in the type of `left`, into one state per thread.

    BLAS works on one thread and Python threads, as many as BLAS would use, each take a share of
    the components: what `fold` does then runs on all cores too, and no thread waits for another.

    Args:
        left: `features` of the codes, `[M, 2 D + 1]`.
        mean: `[N, D]`.
        stddev: `[N, D]`.
        centre: `[D]`.
        start: makes a state.
        fold: told a state, which codes, which components, and their log densities, nats, to use up.
        block_bytes: bound of each large working array.
    """
    n, width = len(mean), left.shape[1]
    blas = threadpoolctl.ThreadpoolController().select(user_api="blas")
    threads = max((library["num_threads"] for library in blas.info()), default=1)
    columns = max(1, min(_TILE[1], n, block_bytes // (8 * max(width, _TILE[0]) * threads)))
    threads = min(threads, -(-n // columns))

    def share(first: int) -> State:
        exact, buffer = np.empty((columns, width)), np.empty(_TILE[0] * columns, left.dtype)
        state = start()
        for begin in range(first * columns, n, threads * columns):
            part = slice(begin, min(begin + columns, n))
            right = exact[: part.stop - begin]
            coefficients(mean[part], stddev[part], centre, out=right)
            right = right.astype(left.dtype, copy=False)
            for top in range(0, len(left), _TILE[0]):
                rows = slice(top, min(top + _TILE[0], len(left)))
                tile = buffer[: (rows.stop - top) * len(right)].reshape(-1, len(right))
                np.matmul(left[rows], right.T, out=tile)
                fold(state, rows, part, tile)
        return state

    with blas.limit(limits=1), ThreadPoolExecutor(threads) as pool:
        return list(pool.map(share, range(threads)))
