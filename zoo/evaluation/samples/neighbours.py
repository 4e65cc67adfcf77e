"""Nearest neighbours of images in a data set, by L2 distance of pixels."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import pairwise_distances_argmin_min
from tqdm import tqdm

from zoo.errors import UsageError
from zoo.pixels import as_floats

_BLOCK_BYTES = 64 * 2**20  # chosen: of data, as float32, at a time


def nearest_neighbours(images: np.ndarray, data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The nearest of `data` for each of `images`.

    Args:
        images: float `[M, H, W, C]` in [0, 1].
        data: uint8 `[N, H, W, C]`; may be a memory map, of which a block is read at a time.

    Returns:
        Their indices `[M]`, and the distances `[M]` as root mean square over pixels and channels,
        in units of [0, 1].

    Raises:
        UsageError: the shapes do not fit, or there are none.
    """
    if images.shape[1:] != data.shape[1:] or 0 in (*images.shape, *data.shape):
        raise UsageError(f"images {images.shape}, data {data.shape}: expected the same [H, W, C]")
    queries = np.asarray(images, np.float32).reshape(len(images), -1)
    size = queries.shape[1]
    index, nearest = np.zeros(len(images), np.int64), np.full(len(images), np.inf)
    rows = max(1, _BLOCK_BYTES // (4 * size))
    for start in tqdm(range(0, len(data), rows), desc="neighbours", delay=2, unit_scale=rows):
        block = as_floats(data[start : start + rows]).reshape(-1, size)
        found, distances = pairwise_distances_argmin_min(queries, block)
        closer = distances < nearest
        index[closer], nearest[closer] = start + found[closer], distances[closer]
    return index, nearest / size**0.5
