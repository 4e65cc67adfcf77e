"""Any folder of images."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from zoo.config import DataConfig
from zoo.data import decoding
from zoo.data.cache import Append, file_state, load_or_decode
from zoo.data.images import ImageDataset, consecutive
from zoo.data.listing import account, list_images
from zoo.errors import UsageError

SIZES = (28, 32, 64, 128)
DEFAULT_SIZE = 64  # chosen
HELD_OUT = 10  # one in ten images for validation, one in ten for test; chosen
SMALLEST_SIDE = 8  # pixels; chosen: below it an image is an icon's placeholder or a mistake


def load(config: DataConfig) -> ImageDataset:
    """All images under `config.data_dir`, cropped to their central square and resized.

    Every type of file that Pillow decodes is an image, and links are followed. A line of the log
    says how many files were found, used and left out, and why. Images smaller than the wanted size
    are enlarged. The files are ordered by a hash of their relative paths; the first tenth is for
    test, the second for validation, the rest for training.

    Raises:
        UsageError: no such folder, an unreadable file, too few images, a size not in `SIZES`.
    """
    size = DEFAULT_SIZE if config.image_size is None else config.image_size
    if size not in SIZES:
        raise UsageError(f"image_size={size} is not accepted: expected one of 28, 32, 64, 128")
    folder = Path(config.data_dir)
    listing = list_images(folder)
    names = listing.names
    _check_enough(len(names), folder)

    def read(name: str) -> np.ndarray:
        image = decoding.open_rgb(str(folder / name), str(folder / name))
        if min(image.size) < SMALLEST_SIDE:
            raise decoding.BrokenImage(
                f"{folder / name} has {image.width}x{image.height} pixels, expected at least "
                f"{SMALLEST_SIDE} a side",
                reason=f"images below {SMALLEST_SIDE} pixels a side",
            )
        return decoding.crop_and_resize(image, min(image.size), size)

    def decode(append: Append) -> dict:
        skipped = decoding.decode_all(names, read, append, skip_broken=config.skip_broken)
        _check_enough(len(names) - len(skipped), folder)
        return decoding.skip_notes(skipped)

    ingredients = {
        "folder": str(folder),
        "files": [[name, file_state(folder / name)] for name in names],
        "skip_broken": config.skip_broken,
        "decoder": decoding.DECODER_VERSION,
    }
    decoded = load_or_decode("folder", ingredients, (size, size, 3), decode)
    count = len(decoded.images)
    left_out = {**listing.left_out, **decoded.notes["left_out"]}
    tenth = count // HELD_OUT
    counts = {"test": tenth, "validation": tenth, "train": count - 2 * tenth}
    provenance = {
        "source": str(folder),
        "crop": "central square",
        "resize": f"{size}x{size}, Pillow bilinear (antialiased)",
        "skipped": decoded.notes["skipped"],
        **account("folder", folder, count, left_out),
    }
    return ImageDataset("folder", consecutive(counts, decoded.images, None), provenance)


def _check_enough(count: int, folder: Path):
    if count < HELD_OUT:
        raise UsageError(
            f"data_dir={folder} has {count} usable images: the split into train, validation and "
            f"test (80/10/10) needs at least {HELD_OUT}"
        )
