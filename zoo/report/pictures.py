"""Pictures of a page: PNGs of a run folder, and pixels that were just drawn."""

from __future__ import annotations

import base64
import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import UsageError
from zoo.files import read_bytes
from zoo.pictures import to_image

_PNG = b"\x89PNG\r\n\x1a\n"
_LARGEST = 20 << 20  # bytes; chosen
_PIXELS_BELOW = 600  # width of a PNG, as its header has it; a grid of 8 x 8 images of 64 has 526


@dataclasses.dataclass(frozen=True)
class Shown:
    """A picture with its caption.

    Attributes:
        source: a data URI.
        caption: a sentence.
        width: of the PNG, pixels.
        is_pixels: whether its pixels are to be seen one by one; else it is a figure with letters.
    """

    source: str
    caption: str
    width: int
    is_pixels: bool


def shown_pixels(pixels: np.ndarray, caption: str) -> Shown:
    """uint8 pixels `[H, W, C]` of images, as a picture."""
    buffer = io.BytesIO()
    to_image(pixels).save(buffer, format="PNG")
    return _shown(buffer.getvalue(), caption, is_pixels=True)


def shown_file(run_dir: Path, file: Path, caption: str) -> Shown | None:
    """A PNG of the run folder; None where it is none, or lies elsewhere: the names come from
    files that somebody else may have written."""
    data = _png(run_dir, file)
    if data is None:
        return None
    return _shown(data, caption, int.from_bytes(data[16:20], "big") < _PIXELS_BELOW)


def _shown(data: bytes, caption: str, is_pixels: bool) -> Shown:
    source = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    return Shown(source, caption, int.from_bytes(data[16:20], "big"), is_pixels)


def _png(run_dir: Path, file: Path) -> bytes | None:
    try:
        place = file.resolve()
        if not place.is_relative_to(run_dir.resolve()) or place.stat().st_size > _LARGEST:
            return None
        data = read_bytes(place)
    except (OSError, ValueError, RuntimeError, UsageError):  # gone, odd names, loops, no file
        return None
    return data if data.startswith(_PNG) else None


def by_step(run_dir: Path, kind: str) -> dict[int, Path]:
    """The pictures of a kind that the training made, by step, in order."""
    found = {}
    for file in (run_dir / "images").glob(f"{kind}-*.png"):
        digits = file.stem.removeprefix(f"{kind}-")
        if digits.isascii() and digits.isdecimal():
            found[int(digits)] = file
    return dict(sorted(found.items()))


def of_training(run_dir: Path) -> list[Shown]:
    """The first and the newest samples, and the newest reconstructions."""
    found = []
    for kind, first in (("samples", 1), ("reconstructions", 0)):
        files = list(by_step(run_dir, kind).items())
        for step, file in dict([*files[:first], *files[-1:]]).items():
            found.append(shown_file(run_dir, file, f"{kind}, step {step}"))
    return [picture for picture in found if picture]


def of_evaluation(run_dir: Path, pictures: list[dict[str, Any]]) -> list[Shown]:
    """What the metrics drew."""
    found = (shown_file(run_dir, run_dir / p["file"], p["caption"]) for p in pictures)
    return [picture for picture in found if picture]
