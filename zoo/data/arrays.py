"""From arrays of images, wherever they lie, to the splits of an `ImageDataset`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from zoo.config import SPLITS
from zoo.data.cache import Append, Decoded, load_or_decode
from zoo.data.images import Split, consecutive
from zoo.data.splits import check_enough, chosen, fill
from zoo.errors import UsageError
from zoo.pixels import as_levels, check_images

MOST_CHANNELS = 4
_BLOCK_BYTES = 2**25  # that are read at a time; chosen

WANTED = "expected [N, H, W, C] with 1 to 4 channels, or [N, H, W] of grey"


@dataclasses.dataclass(frozen=True, eq=False)
class Shard:
    """A part of the images of a split.

    Attributes:
        label: how messages name it.
        images: `[N, H, W, C]` or `[N, H, W]`, uint8 or floats in [0, 1]; may be a memory map.
        labels: whole numbers `[N]` or `[N, 1]`, or None.
    """

    label: str
    images: np.ndarray
    labels: np.ndarray | None = None

    def __post_init__(self) -> None:
        shape, kind = self.images.shape, self.images.dtype
        if kind != np.uint8 and kind.kind != "f":
            self._refuse(f"images are {kind}: expected uint8, or floats in [0, 1]")
        if len(shape) not in (3, 4) or 0 in shape[1:]:
            self._refuse(f"images have the shape {list(shape)}: {WANTED}")
        if len(shape) == 4 and shape[3] > MOST_CHANNELS:
            hint = "; np.moveaxis(images, 1, -1) gives it" if shape[1] <= MOST_CHANNELS else ""
            self._refuse(f"images have the shape {list(shape)}: {WANTED}{hint}")
        if self.labels is not None:
            if self.labels.dtype.kind not in "iub":
                self._refuse(f"labels are {self.labels.dtype}: expected whole numbers")
            if self.labels.shape not in (shape[:1], (shape[0], 1)):
                self._refuse(
                    f"labels have the shape {list(self.labels.shape)}: expected [{len(self)}]"
                )

    def __len__(self) -> int:
        return len(self.images)

    def _refuse(self, what: str) -> None:
        raise UsageError(f"{self.label}: {what}")

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """`(H, W, C)`."""
        height, width, *channels = self.images.shape[1:]
        return (height, width, *(channels or (1,)))

    @property
    def ready(self) -> bool:
        """Whether the images are as an `ImageDataset` holds them."""
        return self.images.dtype == np.uint8 and self.images.ndim == 4

    def levels(self, rows: Any) -> np.ndarray:
        """uint8 `[n, H, W, C]` of some rows: floats become the nearest of 256 levels."""
        images = self.images[rows].reshape(-1, *self.image_shape)
        try:
            return images if images.dtype == np.uint8 else as_levels(check_images(images))
        except UsageError as error:
            self._refuse(str(error))
            raise

    def classes(self, rows: Any = slice(None)) -> np.ndarray | None:
        """int64 `[n]` of some rows, or None."""
        return None if self.labels is None else self.labels[rows].reshape(-1).astype(np.int64)


Shards = Mapping[str, Sequence[Shard]]


def check_shards(shards: Shards, source: Any) -> tuple[int, int, int]:
    """The one image shape `(H, W, C)` of all shards, by split.

    Raises:
        UsageError: they have several shapes, only some of them have labels, or a split is empty.
    """
    check_enough({split: sum(map(len, parts)) for split, parts in shards.items()}, source)
    first, *others = [shard for parts in shards.values() for shard in parts]
    for other in others:
        if other.image_shape != first.image_shape:
            raise UsageError(
                f"{source}: images of {first.label} are {list(first.image_shape)}, those of "
                f"{other.label} {list(other.image_shape)}: expected one shape"
            )
        if (other.labels is None) != (first.labels is None):
            with_labels, without = sorted((first, other), key=lambda shard: shard.labels is None)
            raise UsageError(
                f"{source}: {with_labels.label} has labels and {without.label} has none: expected "
                "labels for all images or for none"
            )
    return first.image_shape


def make_splits(shards: Shards, source: Any, ingredients: Any = None) -> dict[str, Split]:
    """The splits of shards by split; missing ones by the rule of `zoo.data.splits`.

    Three splits of one shard each that are uint8 `[N, H, W, C]` are used where they lie. Others
    become uint8 and are kept in the cache, block by block.

    Args:
        shards: "train" among them.
        source: how messages name the whole.
        ingredients: JSON-able, all that determines the content; None keeps it in memory.

    Raises:
        UsageError: they are not what they have to be.
    """
    shape = check_shards(shards, source)
    if set(shards) == set(SPLITS) and all(
        len(parts) == 1 and parts[0].ready for parts in shards.values()
    ):
        return {name: Split(shards[name][0].images, shards[name][0].classes()) for name in SPLITS}

    def decode(append: Append) -> dict[str, Any]:
        counts = {}
        for split, (origin, places) in fill(shards).items():
            counts[split] = 0
            for shard, rows in _blocks(shards[origin], places):
                append(shard.levels(rows), shard.classes(rows))
                counts[split] += len(rows)
        return {"counts": counts}

    decoded: Decoded = load_or_decode("array", ingredients, shape, decode)
    return consecutive(decoded.notes["counts"], decoded.images, decoded.labels)


def _blocks(shards: Sequence[Shard], places: Sequence[int]) -> Iterator[tuple[Shard, np.ndarray]]:
    """Rows, a block at a time, of the images whose number in all shards is one of `places`."""
    before = 0
    for shard in shards:
        bytes_of_image = max(1, shard.images[:1].nbytes)
        step = max(1, _BLOCK_BYTES // bytes_of_image)
        for start in range(0, len(shard), step):
            stop = min(start + step, len(shard))
            rows = chosen(before + start, before + stop, places) - before
            if len(rows):
                yield shard, rows
        before += len(shard)
