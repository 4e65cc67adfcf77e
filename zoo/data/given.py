"""Images that a Python program has at hand: arrays and `tf.data`, and where a run keeps them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from zoo.config import DataConfig
from zoo.data.array_files import LABELS
from zoo.data.arrays import Shard, make_splits
from zoo.data.images import ImageDataset
from zoo.data.splits import RULE
from zoo.errors import UsageError
from zoo.files import atomic_file, user_path

_BLOCK = 4096  # images that are written at a time; chosen


def dataset_of(images: Any, labels: Any = None) -> ImageDataset:
    """The images of an array, a `tf.data.Dataset` or an `ImageDataset`, in memory.

    Args:
        images: uint8, or floats in [0, 1], which become the nearest of 256 levels: `[N, H, W, C]`,
            or `[N, H, W]` of grey. The elements of a `tf.data.Dataset`, which has to end, are
            images `[H, W, C]` or batches `[N, H, W, C]`, or pairs with labels, or dictionaries with
            `image` and maybe `label`; each reading has to give them in the same order.
        labels: whole numbers `[N]`, of an array.

    Raises:
        UsageError: they are not what they have to be.
    """
    in_stream = hasattr(images, "element_spec")
    if labels is not None and (in_stream or isinstance(images, ImageDataset)):
        raise UsageError(f"labels: a {type(images).__name__} has its own; expected none")
    if isinstance(images, ImageDataset):
        return images
    if in_stream:
        shard = _of_stream(images)
    else:
        shard = Shard("images", _array(images), None if labels is None else np.asarray(labels))
    splits = make_splits({"train": [shard]}, "images")
    provenance = {"source": f"{type(images).__name__} of a program", "splits": RULE}
    return ImageDataset("array", splits, provenance)


def config_of(path: str | os.PathLike[str]) -> DataConfig:
    """What `--dataset` and `--data_dir` would say of a file or folder: NumPy's, or of images.

    Raises:
        UsageError: there is none.
    """
    place = user_path(path, "images")
    of_arrays = place.suffix in (".npy", ".npz") or any(place.glob("*.npy"))
    return DataConfig(dataset="array" if of_arrays else "folder", data_dir=str(place))


def write(dataset: ImageDataset, folder: Path) -> None:
    """Writes the splits as `--dataset=array` reads them, where they are not there yet.

    Raises:
        UsageError: the disk does not take them.
    """
    for name, split in dataset.splits.items():
        if split.labels is not None and not (folder / f"{name}{LABELS}.npy").exists():
            with atomic_file(folder / f"{name}{LABELS}.npy") as file, file.open("wb") as stream:
                np.save(stream, split.labels)
        if not (folder / f"{name}.npy").exists():
            with atomic_file(folder / f"{name}.npy") as file, file.open("wb") as stream:
                header = {"descr": "|u1", "fortran_order": False, "shape": split.images.shape}
                np.lib.format.write_array_header_1_0(stream, header)
                for start in range(0, len(split), _BLOCK):
                    block = split.images[start : start + _BLOCK]
                    stream.write(np.ascontiguousarray(block).data)


def _array(images: Any) -> np.ndarray:
    if isinstance(images, (list, tuple, np.ndarray)) or hasattr(images, "__array__"):
        try:
            return np.asarray(images)
        except ValueError:  # a list of several shapes
            raise UsageError("images have several shapes: expected one") from None
    raise UsageError(
        f"images is a {type(images).__name__}: expected an array, a tf.data.Dataset, an "
        "ImageDataset or a path"
    )


def _of_stream(stream: Any) -> Shard:
    import tensorflow as tf

    if stream.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise UsageError("images: the tf.data.Dataset has no end; expected one without repeat()")
    blocks: list[np.ndarray] = []
    classes: list[np.ndarray] = []
    for block in _blocks(stream):
        if blocks and block.image_shape != blocks[0].shape[1:]:
            raise UsageError(
                f"images have the shapes {list(blocks[0].shape[1:])} and "
                f"{list(block.image_shape)}: expected one"
            )
        blocks.append(block.levels(slice(None)))
        if (labels := block.classes()) is not None:
            classes.append(labels)
    if not blocks:
        raise UsageError("images: the tf.data.Dataset is empty")
    return Shard("images", np.concatenate(blocks), np.concatenate(classes) if classes else None)


def _blocks(stream: Any) -> Iterator[Shard]:
    """The elements of a `tf.data.Dataset`, each a batch of one or more."""
    for element in stream.as_numpy_iterator():
        if isinstance(element, dict):
            if "image" not in element:
                raise UsageError(f"images: elements have {', '.join(element)}: expected image")
            element = (element["image"], element.get("label"))
        elif not isinstance(element, tuple):
            element = (element, None)
        elif len(element) != 2:
            raise UsageError(
                f"images: elements have {len(element)} parts: expected images, or images and labels"
            )
        images = np.asarray(element[0])
        labels = None if element[1] is None else np.asarray(element[1])
        if images.ndim == 3:
            images, labels = images[None], None if labels is None else labels.reshape(1, -1)
        yield Shard("images", images, labels)
