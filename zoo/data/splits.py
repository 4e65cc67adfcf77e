"""Train, validation and test: how sources call them, and where they come from if they are missing.

A split that a source lacks is taken from its training images by their number i from 0: for test
those with i % 10 = 9, for validation those with i % 10 = 8. The rule knows neither a seed nor
classes: it takes as many of each from images that are sorted by class, and images that are added at
the end move none. Who has near-copies side by side, as frames of a video, gives splits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from zoo.errors import UsageError

EVERY = 10  # one image in ten for each split that is missing; chosen
_TAKEN = {"test": 9, "validation": 8}  # their numbers modulo EVERY

RULE = "of each ten images the ninth for validation, the tenth for test, where these are missing"

# How sources call them.
NAMES = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
    "testing": "test",
}


def fill(given: Iterable[str]) -> dict[str, tuple[str, Sequence[int]]]:
    """For each split the one of the source that it is taken from, and which i % 10 of it.

    Args:
        given: the splits that the source has, "train" among them.
    """
    given = set(given)
    missing = {split: place for split, place in _TAKEN.items() if split not in given}
    kept = [place for place in range(EVERY) if place not in missing.values()]
    return {
        "train": ("train", kept),
        **{
            split: ("train", [missing[split]]) if split in missing else (split, range(EVERY))
            for split in ("validation", "test")
        },
    }


def chosen(start: int, stop: int, places: Sequence[int]) -> np.ndarray:
    """The numbers from `start` below `stop` that are one of `places` modulo 10."""
    numbers = np.arange(start, stop)
    return numbers[np.isin(numbers % EVERY, list(places))]


def check_enough(sizes: Mapping[str, int], source: Any) -> None:
    """Refuses a source of which a split would be empty.

    Args:
        sizes: images by split, as the source has them.
        source: how the message calls it.

    Raises:
        UsageError: it has no training images, or too few.
    """
    if "train" not in sizes:
        raise UsageError(f"{source} has no training images, only {', '.join(sizes) or 'none'}")
    if not all(sizes.values()):
        raise UsageError(f"{source} has a split without an image: {dict(sizes)}")
    if len(sizes) < 3 and sizes["train"] < EVERY:
        raise UsageError(
            f"{source} has {sizes['train']} training images: the split into train, validation and "
            f"test (80/10/10) needs at least {EVERY}"
        )
