"""From image files to uint8 arrays, many at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO

import numpy as np
from absl import logging
from PIL import Image, ImageOps, UnidentifiedImageError
from tqdm import tqdm

from zoo.data.cache import Append
from zoo.errors import UsageError

DECODER_VERSION = 1  # part of every cache key: raise it when decoded pixels change
BATCH = 256  # files in flight; chosen
QUIET_BELOW = 2000  # files that decode in a few seconds need no progress bar; chosen
NAMED = 3  # left-out files that a warning names; chosen

SKIP_REMEDY = "replace or remove it, or leave such files out with --skip_broken"


def open_rgb(source: str | BinaryIO, label: str) -> Image.Image:
    """The first frame of an image file, upright, in 8-bit RGB, on white where it is transparent.

    Args:
        source: a path or an open file.
        label: how error messages name the file.

    Raises:
        UsageError: the file cannot be decoded to the end.
    """
    try:
        with Image.open(source) as image:
            image.load()
            return _to_rgb(ImageOps.exif_transpose(image))
    except UnidentifiedImageError:
        reason = "not an image that Pillow knows"
    except Exception as error:  # Pillow's plugins answer damage with many kinds of exception.
        reason = " ".join(str(error).split()) or type(error).__name__
    raise UsageError(f"{label} cannot be decoded ({reason}): {SKIP_REMEDY}")


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # Pillow's own conversion clips 16 bits at 255 and so to white.
        image = Image.fromarray((np.asarray(image).astype(np.int64) // 257).astype(np.uint8))
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def crop_and_resize(image: Image.Image, crop: int, size: int) -> np.ndarray:
    """The central `crop` x `crop` square, resized to uint8 `[size, size, 3]`.

    Pillow's BILINEAR filter widens with the factor of a reduction, so the result is antialiased.
    """
    left, top = (image.width - crop) // 2, (image.height - crop) // 2
    square = image.crop((left, top, left + crop, top + crop))
    return np.asarray(square.resize((size, size), Image.Resampling.BILINEAR))


def decode_all(
    names: Sequence[str],
    read: Callable[[str], np.ndarray],
    append: Append,
    *,
    skip_broken: bool,
) -> list[str]:
    """Decodes files in order on all cores (Pillow releases the GIL) and appends them in batches.

    Args:
        names: the files, as `read` takes them.
        read: file to uint8 `[H, W, C]`; raises `UsageError` for a broken one.
        append: receives uint8 `[n, H, W, C]` and None for labels.
        skip_broken: leave broken files out.

    Returns:
        The names that were left out.

    Raises:
        UsageError: the first broken file, or, with `skip_broken`, all of them are broken.
    """

    def attempt(name: str) -> np.ndarray | UsageError:
        try:
            return read(name)
        except UsageError as error:
            return error

    skipped = []
    progress = tqdm(
        total=len(names), desc="decoding", unit="image", disable=len(names) < QUIET_BELOW or None
    )
    with ThreadPoolExecutor(os.cpu_count()) as pool, progress:
        for start in range(0, len(names), BATCH):
            batch, images = names[start : start + BATCH], []
            for name, result in zip(batch, pool.map(attempt, batch), strict=True):
                if not isinstance(result, UsageError):
                    images.append(result)
                elif skip_broken:
                    skipped.append(name)
                else:
                    raise result
            if images:
                append(np.stack(images), None)
            progress.update(len(batch))
    if len(skipped) == len(names):
        raise UsageError(f"none of the {len(names)} images can be decoded: {attempt(names[0])}")
    return skipped


def skip_notes(skipped: Sequence[str]) -> dict[str, Any]:
    """What a cache entry remembers of the files that were left out."""
    return {"skipped": len(skipped), "skipped_names": list(skipped[:NAMED])}


def warn_of_skipped(name: str, notes: dict[str, Any]) -> None:
    """One warning line that counts the left-out files and names the first."""
    if notes["skipped"]:
        logging.warning(
            "%s: left out %d images that cannot be decoded: %s%s",
            name,
            notes["skipped"],
            ", ".join(notes["skipped_names"]),
            ", ..." if notes["skipped"] > NAMED else "",
        )
