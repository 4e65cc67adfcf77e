"""Grids of images, and pictures as PNG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from zoo.files import atomic_file, atomic_folder
from zoo.pixels import as_levels

# Pixels; chosen.
_WORD = 64  # width that a caption needs
_LINE = 16  # height of one


def grid(images: np.ndarray, columns: int | None = None, gap: int = 2) -> np.ndarray:
    """Lays images side by side.

    Args:
        images: `[N, H, W, C]` floats in [0, 1]; NaN is black.
        columns: images per row; the squarest grid by default.
        gap: pixels of white between images.

    Returns:
        uint8 `[rows, columns, C]`.
    """
    n, h, w, c = images.shape
    columns = columns or math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    canvas = np.full((rows * (h + gap) - gap, columns * (w + gap) - gap, c), 255, np.uint8)
    for i, image in enumerate(as_levels(images)):  # black where a run diverges, and no error
        y, x = (i // columns) * (h + gap), (i % columns) * (w + gap)
        canvas[y : y + h, x : x + w] = image
    return canvas


def to_image(pixels: np.ndarray) -> Image.Image:
    """uint8 `[H, W, C]` as an image: grey, grey and alpha, RGB or RGBA, by C from 1 to 4."""
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def save_png(path: Path, pixels: np.ndarray, scale: int = 1) -> None:
    """Writes uint8 `[H, W, C]` with C from 1 to 4, each pixel as `scale` x `scale`, atomically."""
    image = to_image(pixels)
    if scale > 1:
        image = image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
    with atomic_file(path) as temporary:
        image.save(temporary, format="PNG")


def save_pngs(folder: Path, images: np.ndarray) -> None:
    """Writes uint8 images `[N, H, W, C]` by number, as 007.png, into a new folder, atomically.

    Raises:
        UsageError: the folder exists already or cannot be written.
    """
    digits = len(str(len(images) - 1))
    with atomic_folder(folder) as temporary:
        for number, pixels in enumerate(images):
            _image(pixels).save(temporary / f"{number:0{digits}}.png")


def _image(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels)


def side_by_side(
    originals: np.ndarray, reconstructions: np.ndarray, columns: int = 8
) -> np.ndarray:
    """Rows of originals, each above the row of its reconstructions; `[N, H, W, C]` in [0, 1]
    both. The last rows end in white where N is no multiple of `columns`."""
    columns = min(columns, len(originals))
    white = np.ones((-len(originals) % columns, *originals.shape[1:]), originals.dtype)
    pair = [np.concatenate([images, white]) for images in (originals, reconstructions)]
    rows = np.stack([images.reshape(-1, columns, *images.shape[1:]) for images in pair], axis=1)
    return grid(rows.reshape(-1, *originals.shape[1:]), columns)


def captioned(
    originals: np.ndarray, reconstructions: np.ndarray, captions: Sequence[str], columns: int = 8
) -> np.ndarray:
    """Each original above its reconstruction, and below them what it is called.

    Args:
        originals: `[N, H, W, C]` in [0, 1].
        reconstructions: as `originals`.
        captions: N; what does not fit is cut off.
        columns: pairs per row, at most.

    Returns:
        uint8 `[rows, columns, C]`, each pixel a square of so many that there is room for words.
    """
    scale = -(-_WORD // originals.shape[2])
    pairs = np.concatenate([originals, reconstructions], axis=1)
    pairs = pairs.repeat(scale, axis=1).repeat(scale, axis=2)
    words = np.stack([_word(caption, pairs.shape[2], pairs.shape[3]) for caption in captions])
    return grid(np.concatenate([pairs, words], axis=1), min(columns, len(pairs)))


def _word(text: str, width: int, channels: int) -> np.ndarray:
    """Black on white, `[_LINE, width, C]` in [0, 1]; opaque where C has an alpha."""
    image = Image.new("L", (width, _LINE), 255)
    ImageDraw.Draw(image).text((1, 1), text, fill=0, font=ImageFont.load_default(_LINE - 4))
    pixels = np.repeat(np.asarray(image, np.float32)[..., None] / 255, channels, axis=-1)
    if channels in (2, 4):
        pixels[..., -1] = 1
    return pixels


def save_picture(path: Path, content: np.ndarray | Any) -> None:
    """Writes uint8 pixels `[H, W, C]` as PNG, or a matplotlib figure as PNG or SVG, by the ending,
    atomically; the same figure gives the same bytes."""
    if isinstance(content, np.ndarray):
        save_png(path, content)
        return
    import matplotlib

    kind = path.suffix[1:]
    metadata = {"Date": None} if kind == "svg" else None
    with atomic_file(path) as temporary, matplotlib.rc_context({"svg.hashsalt": "zoo"}):
        content.savefig(temporary, format=kind, dpi=120, bbox_inches="tight", metadata=metadata)
