"""Images in NumPy's files: one `.npy`, an `.npz`, or a folder of `.npy` shards.

| in an `.npz` | in a folder | what it is |
|---|---|---|
| `images`, `x`, `data`, `arr_0` | any other name, as `part-0001.npy` | images without splits |
| `x_train`, `train_images`, `images_train` | `train.npy`, `train-0001.npy` | of a split |
| `labels`, `y` | `part-0001.labels.npy` | their labels |
| `y_train`, `train_labels`, `labels_train` | `train.labels.npy` | of a split |

For `train` stands `validation`, `valid`, `val` or `test` as well. A single `x.npy` has its labels
in `x.labels.npy` beside it. `.npy` files are opened as memory maps and may be larger than memory;
an `.npz` is read whole.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from zoo.config import DataConfig
from zoo.data.arrays import Shard, Shards, make_splits
from zoo.data.cache import file_state
from zoo.data.images import ImageDataset
from zoo.data.listing import account
from zoo.data.splits import NAMES, RULE
from zoo.errors import UsageError

UNSPLIT = {"images": "images", "x": "images", "data": "images", "arr_0": "images"}
UNSPLIT |= {"labels": "labels", "y": "labels"}
KINDS = {"x": "images", "images": "images", "y": "labels", "labels": "labels"}
LABELS = ".labels"


def load(config: DataConfig) -> ImageDataset:
    """The images of `config.data_dir`, uint8 or floats in [0, 1], with labels where there are any.

    Floats become the nearest of 256 grey levels. The head of this module has the names, and
    `zoo.data.splits` the rule for splits that are missing.

    Raises:
        UsageError: no such file, or arrays that are no images.
    """
    place = Path(str(config.data_dir))
    if not os.path.exists(place):
        raise UsageError(
            f"data_dir={place} does not exist: expected a .npy or .npz file, or a folder of .npy"
        )
    if place.is_dir():
        files = sorted(file for file in place.iterdir() if file.suffix == ".npy")
        shards, others = _of_folder(place, files)
    elif place.suffix == ".npz":
        files = [place]
        shards, others = _of_npz(place)
    elif place.suffix == ".npy":
        files = [place, *filter(os.path.exists, [place.with_suffix(f"{LABELS}.npy")])]
        shards, others = {"train": [_shard(place)]}, []
    else:
        raise UsageError(
            f"data_dir={place} is no array: expected a .npy or .npz file, or a folder of .npy"
        )
    # An .npz is read to its end anyway, and so kept in memory.
    states = [[str(file), file_state(file)] for file in files]
    splits = make_splits(shards, place, None if place.suffix == ".npz" else [RULE, states])
    if others:
        logging.warning("array: %s: other content is not used: %s", place, ", ".join(others))
    provenance = {
        "source": str(place),
        "splits": RULE if len(shards) < len(splits) else "of the source",
        **account("array", place, sum(map(len, splits.values())), {}, what="images"),
    }
    return ImageDataset("array", splits, provenance)


def _of_folder(folder: Path, files: Iterable[Path]) -> tuple[Shards, list[str]]:
    """The shards of a folder by split, and the names that are none."""
    images = [file for file in files if not file.stem.endswith(LABELS)]
    if not images:
        raise UsageError(f"data_dir={folder} has no .npy files: expected shards of images")
    by_split: dict[str | None, list[Shard]] = {}
    for file in images:
        first = re.split(r"[-_.]", file.stem)[0].lower()
        by_split.setdefault(NAMES.get(first), []).append(_shard(file))
    if None in by_split:
        if len(by_split) > 1:
            raise UsageError(
                f"data_dir={folder}: {by_split[None][0].label} is of no split, and others are: "
                "expected all names to begin with train, validation or test, or none"
            )
        by_split = {"train": by_split[None]}
    known = {file.name for file in images}
    known |= {f"{file.stem}{LABELS}.npy" for file in images}
    visible = {entry.name for entry in folder.iterdir() if not entry.name.startswith(".")}
    return {str(split): shards for split, shards in by_split.items()}, sorted(visible - known)


def _shard(file: Path) -> Shard:
    """Images of a file, and the labels beside it."""
    labels = file.with_name(f"{file.stem}{LABELS}.npy")
    return Shard(str(file), _open(file), _open(labels) if os.path.exists(labels) else None)


def _open(file: Path) -> Any:
    if not file.is_file():  # a FIFO would be waited for
        raise UsageError(f"{file} is not a regular file: expected an array of NumPy")
    try:
        return np.lib.format.open_memmap(file, mode="r")
    except (ValueError, OSError) as error:
        raise _unreadable(file, error) from None


def _of_npz(file: Path) -> tuple[Shards, list[str]]:
    """The arrays of an archive by split, and the keys that are none."""
    if not file.is_file():
        raise UsageError(f"{file} is not a regular file: expected arrays of NumPy")
    found: dict[tuple[str | None, str], tuple[str, np.ndarray]] = {}
    others = []
    try:
        # Opened here: NumPy leaves a file open that turns out to be none.
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            for key in archive.files:
                place = _meaning(key)
                if place is None:
                    others.append(key)
                elif place in found:
                    raise UsageError(f"{file}: {found[place][0]} and {key} are the same: keep one")
                else:
                    found[place] = key, archive[key]
    except UsageError:
        raise
    except Exception as error:  # A damaged archive has an exception of its own for each damage.
        raise _unreadable(file, error) from None
    splits = {split for split, kind in found if kind == "images"}
    if not splits:
        raise UsageError(
            f"{file} has no images: expected the key images, or x_train and x_test; it has "
            f"{', '.join(others) or 'none'}"
        )
    if None in splits and len(splits) > 1:
        raise UsageError(
            f"{file} has images without a split, {found[None, 'images'][0]}, beside others: "
            "expected either"
        )
    shards = {}
    for split in sorted(splits, key=str):
        key, images = found[split, "images"]
        labels = found.get((split, "labels"), (None, None))[1]
        shards[split or "train"] = [Shard(f"{file}: {key}", images, labels)]
    orphans = [key for (split, _), (key, _) in found.items() if split not in splits]
    return shards, [*others, *orphans]


def _meaning(key: str) -> tuple[str | None, str] | None:
    """Split (None for all) and kind of an array by its key; None for another."""
    key = key.lower()
    if key in UNSPLIT:
        return None, UNSPLIT[key]
    first, _, second = key.partition("_")
    for kind, split in ((first, second), (second, first)):
        if kind in KINDS and split in NAMES:
            return NAMES[split], KINDS[kind]
    return None


def _unreadable(file: Path, error: Exception) -> UsageError:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return UsageError(f"{file} cannot be read as arrays of NumPy ({reason})")
