"""What every data set looks like once it is loaded."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zoo.config import SPLITS
from zoo.errors import UsageError, expected_of

_BLOCK = 4096  # images that are read at a time; chosen


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """The images of one split, and their classes where the source has any.

    Attributes:
        images: uint8 `[N, H, W, C]`; may be a read-only memory map.
        labels: int64 `[N]`, or None.
        names: of the N files that they came from, or None.
    """

    images: np.ndarray
    labels: np.ndarray | None = None
    names: Sequence[str] | None = None

    def __len__(self) -> int:
        return len(self.images)

    def some(self, count: int) -> Split:
        """`count` of the examples, always the same, in their order; all where there are no more.

        They are chosen by chance, since a set may be sorted, by class or by place, so that its
        first examples are no sample of it. The fewer are among the more.
        """
        if count >= len(self):
            return self
        rows = np.sort(np.random.default_rng(0).permutation(len(self))[:count])
        labels = None if self.labels is None else self.labels[rows]
        names = None if self.names is None else [self.names[row] for row in rows]
        return Split(self.images[rows], labels, names)


@dataclasses.dataclass(frozen=True, eq=False)
class ImageDataset:
    """A named set of images in splits.

    Attributes:
        name: as in `zoo.registry.DATASETS`.
        splits: by name, in the order of `SPLITS`.
        provenance: where the images came from and what was done to them; JSON-able.
        class_names: of the labels 0, 1, ..., where the source tells them.

    Raises:
        UsageError: a split is empty.
        ValueError: the arrays are not what `Split` says.
    """

    name: str
    splits: Mapping[str, Split]
    provenance: Mapping[str, Any]
    class_names: Sequence[str] | None = None

    def __post_init__(self) -> None:
        shapes = set()
        for name, split in self.splits.items():
            images, labels = split.images, split.labels
            if name not in SPLITS:
                raise ValueError(f"split {name!r} is not one of {', '.join(SPLITS)}")
            if images.ndim != 4 or images.dtype != np.uint8:
                raise ValueError(f"{name} images are {images.dtype}{images.shape}, not uint8 NHWC")
            if labels is not None and (
                labels.shape != images.shape[:1] or labels.dtype != np.int64
            ):
                raise ValueError(f"{name} labels are {labels.dtype}{labels.shape}, not int64 [N]")
            if not len(images):
                raise UsageError(f"{self.name}: split {name} is empty, expected one image at least")
            shapes.add(images.shape[1:])
        if len(shapes) != 1:
            raise ValueError(f"splits must share one image shape, got {sorted(shapes)}")

    def split(self, name: str) -> Split:
        """The split of that name.

        Raises:
            UsageError: there is none.
        """
        if name not in self.splits:
            raise UsageError(
                f"split={name!r} is not in {self.name}: {expected_of(name, self.splits)}"
            )
        return self.splits[name]

    def labels(self, split: str) -> np.ndarray:
        """The classes int64 `[N]` of a split.

        Raises:
            UsageError: the split or its labels are missing.
        """
        labels = self.split(split).labels
        if labels is None:
            raise UsageError(
                f"{self.name} has no labels: expected a data set with classes, as color_mnist_mini "
                "or cifar10"
            )
        return labels

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """`(H, W, C)`."""
        return tuple(next(iter(self.splits.values())).images.shape[1:])

    @functools.cached_property
    def fingerprint(self) -> str:
        """16 hex digits of the splits, their sizes, the image shape and every image and label.

        A run keeps it, so that it can refuse to go on with other data, and so does every number
        that is measured on them.
        """
        return _fingerprint(self, with_labels=True)

    def is_of(self, fingerprint: str) -> bool:
        """Whether these are the data of that fingerprint, also of before a source had labels, and
        in the present format or the first."""
        return (
            fingerprint == self.fingerprint
            or fingerprint == first_fingerprint(self)
            or fingerprint == _fingerprint(self, with_labels=False)
        )


def _fingerprint(dataset: ImageDataset, with_labels: bool) -> str:
    sizes = [(name, len(dataset.splits[name])) for name in sorted(dataset.splits)]
    digest = hashlib.sha256(json.dumps([sizes, dataset.image_shape]).encode())
    for name, _ in sizes:
        images, labels = dataset.splits[name].images, dataset.splits[name].labels
        add_to(digest, images)
        if labels is not None and with_labels:
            digest.update(np.ascontiguousarray(labels).data)
    return digest.hexdigest()[:16]


def add_to(digest: hashlib._Hash, images: np.ndarray) -> None:
    """Feeds all bytes of images to a digest, in blocks: a memory map may be larger than memory."""
    for start in range(0, len(images), _BLOCK):
        digest.update(np.ascontiguousarray(images[start : start + _BLOCK]).data)


def first_fingerprint(dataset: ImageDataset) -> str:
    """The fingerprint of runs of format 1: of sizes and of the first images of each split."""
    sizes = [(name, len(dataset.splits[name])) for name in sorted(dataset.splits)]
    digest = hashlib.sha256(json.dumps([sizes, dataset.image_shape]).encode())
    for name, _ in sizes:
        digest.update(np.ascontiguousarray(dataset.splits[name].images[:64]).data)
    return digest.hexdigest()[:16]


def consecutive(
    counts: Mapping[str, int],
    images: np.ndarray,
    labels: np.ndarray | None,
    names: Sequence[str] | None = None,
) -> dict[str, Split]:
    """Cuts arrays in which the splits follow each other; returns them in the order of `SPLITS`.

    Args:
        counts: number of images by split, in the order of the arrays.
        images: uint8 `[N, H, W, C]`, N the sum of `counts`.
        labels: int64 `[N]`, or None.
        names: of the N files, or None.
    """
    splits, start = {}, 0
    for name, count in counts.items():
        part = slice(start, start + count)
        splits[name] = Split(
            images[part],
            None if labels is None else labels[part],
            None if names is None else names[part],
        )
        start += count
    return {name: splits[name] for name in SPLITS if name in splits}
