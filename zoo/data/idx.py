"""Images in the idx files of MNIST and its kin, gzipped or not, and Fashion-MNIST.

Fashion-MNIST (Xiao et al. 2017, MIT licence): 70,000 grey pictures, 28 x 28, of ten kinds of
clothing.
"""

from __future__ import annotations

import dataclasses
import gzip
import re
import zlib
from pathlib import Path

import numpy as np

from zoo.config import DataConfig
from zoo.data import tfds_sets
from zoo.data.images import ImageDataset, Split
from zoo.data.listing import account
from zoo.errors import UsageError

# As train-images-idx3-ubyte.gz, t10k-labels.idx1-ubyte, emnist-digits-test-images-idx3-ubyte.
_NAME = re.compile(r"(?:.*[-_])?(train|t10k|test)-(images|labels)[-.]idx\d-ubyte(?:\.gz)?")
_UBYTE = 8  # the type of the values, as the third byte of a file has it
_PARTS = tuple((s, k) for s in ("train", "test") for k in ("images", "labels"))

OFFICIAL_TRAIN = 60_000  # of MNIST and Fashion-MNIST
CLASS_NAMES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)


def load(config: DataConfig) -> ImageDataset:
    """The images of the four files in `config.data_dir`, with their labels.

    The last 5,000 of 60,000 training images, or as large a part of fewer, are for validation.

    Raises:
        UsageError: a file is missing, there twice, damaged, or not of images or labels.
    """
    return _of_folder("idx", Path(str(config.data_dir)))


def load_fashion_mnist(config: DataConfig) -> ImageDataset:
    """The 28 x 28 grey images with their classes: 55,000 / 5,000 / 10,000.

    `config.data_dir` is a folder of the four idx files, else the directory of TensorFlow Datasets.
    These have the images in another order, and with it another validation split.

    Raises:
        UsageError: an idx file is unusable, or TensorFlow Datasets has no copy and cannot fetch it.
    """
    if config.data_dir is not None and _idx_files(Path(config.data_dir)):
        dataset = _of_folder("fashion_mnist", Path(config.data_dir))
        if dataset.image_shape != (28, 28, 1):
            raise UsageError(
                f"{config.data_dir} has images {dataset.image_shape}, those of fashion_mnist are "
                "(28, 28, 1): for other idx files use --dataset=idx"
            )
        return dataclasses.replace(dataset, class_names=CLASS_NAMES)
    decoded, source = tfds_sets.load(
        "fashion_mnist",
        config.data_dir,
        splits=("train", "test"),
        image_shape=(28, 28, 1),
        remedy="give --data_dir=<a folder of its four idx files>",
    )
    splits = tfds_sets.hold_out_validation(decoded, OFFICIAL_TRAIN)
    return ImageDataset("fashion_mnist", splits, source, CLASS_NAMES)


def _idx_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.iterdir() if _NAME.fullmatch(file.name))


def _of_folder(name: str, folder: Path) -> ImageDataset:
    if not folder.is_dir():
        raise UsageError(f"data_dir={folder} is no folder: expected one of idx files")
    files: dict[tuple[str, str], Path] = {}
    for file in _idx_files(folder):
        split, kind = _NAME.fullmatch(file.name).groups()  # type: ignore[union-attr]
        part = ("train" if split == "train" else "test", kind)
        if part in files:
            raise UsageError(f"{folder} has {files[part].name} and {file.name}: expected one")
        files[part] = file
    missing = [f"{split} {kind}" for split, kind in _PARTS if (split, kind) not in files]
    if missing:
        raise UsageError(
            f"data_dir={folder} has no idx file of {', '.join(missing)}: expected four files as "
            "train-images-idx3-ubyte and t10k-labels-idx1-ubyte, with or without .gz"
        )
    images = {split: _read_images(files[split, "images"]) for split in ("train", "test")}
    if images["train"].shape[1:] != images["test"].shape[1:]:
        raise UsageError(
            f"{folder} has training images {images['train'].shape[1:]} and test images "
            f"{images['test'].shape[1:]}: expected one shape"
        )
    labels = {s: _read_labels(files[s, "labels"], len(images[s])) for s in ("train", "test")}
    first = len(images["train"]) - tfds_sets.held_out(len(images["train"]), OFFICIAL_TRAIN)
    splits = {
        "train": Split(images["train"][:first], labels["train"][:first]),
        "validation": Split(images["train"][first:], labels["train"][first:]),
        "test": Split(images["test"], labels["test"]),
    }
    used = sum(map(len, splits.values()))
    provenance = {"source": str(folder), **account(name, folder, used, {}, what="images")}
    return ImageDataset(name, splits, provenance)


def _read_images(file: Path) -> np.ndarray:
    """uint8 `[N, H, W, C]`."""
    images = read(file)
    images = images[..., None] if images.ndim == 3 else images
    if images.ndim != 4 or 0 in images.shape or images.shape[3] > 4:
        raise UsageError(f"{file} has the shape {list(images.shape)}: expected [N, H, W] of images")
    return images


def _read_labels(file: Path, count: int) -> np.ndarray:
    """int64 `[count]`."""
    labels = read(file)
    if labels.shape != (count,):
        raise UsageError(f"{file} has the shape {list(labels.shape)}: expected [{count}] of labels")
    return labels.astype(np.int64)


def read(file: Path) -> np.ndarray:
    """The uint8 array of an idx file: two zero bytes, type, rank, sizes of 32 bits, values.

    Raises:
        UsageError: it is none, or cut short.
    """
    if not file.is_file():  # a FIFO would be waited for
        raise UsageError(f"{file} is not a regular file: expected an idx file")
    try:
        content = file.read_bytes()
        if file.suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"{file} cannot be read ({error})") from None
    rank = content[3] if len(content) > 3 else 0
    if content[:3] != bytes((0, 0, _UBYTE)) or len(content) < 4 + 4 * rank:
        raise UsageError(f"{file} is no idx file of unsigned bytes")
    shape = tuple(np.frombuffer(content, ">u4", rank, 4).tolist())
    values = np.frombuffer(content, np.uint8, offset=4 + 4 * rank)
    if len(values) != np.prod(shape, dtype=object):
        raise UsageError(
            f"{file} is cut short or too long: {len(values)} values, expected "
            f"{' x '.join(map(str, shape))}"
        )
    return values.reshape(shape)
