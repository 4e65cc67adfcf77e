"""Image files in the shape that a subject takes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from zoo.data import decoding
from zoo.errors import UsageError


def read_images(files: Sequence[Path], image_shape: tuple[int, int, int]) -> np.ndarray:
    """uint8 `[N, H, W, C]`: of each file the largest central part of that aspect, resized; a square
    as the data set `folder` has it.

    Raises:
        UsageError: a file is missing or cannot be decoded.
    """
    try:
        return np.stack([_read(file, *image_shape) for file in files])
    except decoding.BrokenImage as error:
        raise UsageError(str(error).removesuffix(f": {decoding.SKIP_REMEDY}")) from None


def read_some(
    files: Sequence[Path], image_shape: tuple[int, int, int], count: int, skip_broken: bool
) -> tuple[np.ndarray, list[int]]:
    """`read_images` of the first `count` files, and their places among them all; with `skip_broken`
    of the first that can be decoded.

    Raises:
        UsageError: one cannot be decoded, or with `skip_broken` none can.
    """
    images: list[np.ndarray] = []
    places: list[int] = []
    for place, file in enumerate(files):
        if len(images) == count:
            break
        try:
            images.append(_read(file, *image_shape))
            places.append(place)
        except decoding.BrokenImage as error:
            if not skip_broken or (place == len(files) - 1 and not images):
                raise UsageError(str(error)) from None
    return np.stack(images), places


def _read(file: Path, height: int, width: int, channels: int) -> np.ndarray:
    if not file.is_file():
        raise UsageError(f"{file} is no file: expected an image")
    image = decoding.open_image(str(file), str(file), channels)
    if height == width:
        pixels = decoding.crop_and_resize(image, min(image.size), height)
    else:
        pixels = np.asarray(ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR))
    return pixels.reshape(height, width, channels)
