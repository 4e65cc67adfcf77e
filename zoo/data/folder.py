"""Any folder of images."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np

from zoo.config import DataConfig
from zoo.data import decoding
from zoo.data.cache import Append, file_state, load_or_decode
from zoo.data.images import ImageDataset, consecutive
from zoo.errors import UsageError

EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif")
SIZES = (28, 32, 64, 128)
DEFAULT_SIZE = 64  # chosen
HELD_OUT = 10  # one in ten images for validation, one in ten for test; chosen
SMALLEST_SIDE = 8  # pixels; chosen: below it an image is an icon's placeholder or a mistake


def load(config: DataConfig) -> ImageDataset:
    """All images under `config.data_dir`, cropped to their central square and resized.

    Images smaller than the wanted size are enlarged. The files are ordered by a hash of their
    relative paths; the first tenth is for test, the second for validation, the rest for training.

    Raises:
        UsageError: no such folder, an unreadable file, too few images, a size not in `SIZES`.
    """
    size = DEFAULT_SIZE if config.image_size is None else config.image_size
    if size not in SIZES:
        raise UsageError(f"image_size={size} is not accepted: expected one of 28, 32, 64, 128")
    folder = Path(config.data_dir).expanduser().resolve()
    names = find_images(folder)
    _check_enough(len(names), folder)

    def read(name: str) -> np.ndarray:
        image = decoding.open_rgb(str(folder / name), str(folder / name))
        if min(image.size) < SMALLEST_SIDE:
            raise UsageError(
                f"{folder / name} has {image.width}x{image.height} pixels, expected at least "
                f"{SMALLEST_SIDE} a side: {decoding.SKIP_REMEDY}"
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
    decoding.warn_of_skipped("folder", decoded.notes)
    count = len(decoded.images)
    tenth = count // HELD_OUT
    counts = {"test": tenth, "validation": tenth, "train": count - 2 * tenth}
    provenance = {
        "source": str(folder),
        "crop": "central square",
        "resize": f"{size}x{size}, Pillow bilinear (antialiased)",
        "skipped": decoded.notes["skipped"],
    }
    return ImageDataset("folder", consecutive(counts, decoded.images, None), provenance)


def find_images(folder: Path) -> list[str]:
    """Relative paths of all visible images under a folder, ordered by their hash.

    Raises:
        UsageError: there is no such folder, a part of it cannot be read, or it has no images.
    """
    if not folder.exists():
        raise UsageError(f"data_dir={folder} does not exist: expected a folder of images")
    if not folder.is_dir():
        raise UsageError(f"data_dir={folder} is a file: expected a folder of images")

    def refuse(error: OSError):
        raise UsageError(f"folder {error.filename} cannot be read: {error.strerror}")

    names = []
    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if name.lower().endswith(EXTENSIONS) and not name.startswith("."):
                names.append((Path(parent) / name).relative_to(folder).as_posix())
    if not names:
        raise UsageError(
            f"data_dir={folder} has no images: expected files ending in {', '.join(EXTENSIONS)}"
        )
    return sorted(names, key=lambda name: hashlib.sha256(os.fsencode(name)).digest())


def _check_enough(count: int, folder: Path):
    if count < HELD_OUT:
        raise UsageError(
            f"data_dir={folder} has {count} usable images: the split into train, validation and "
            f"test (80/10/10) needs at least {HELD_OUT}"
        )
