"""Any folder of images."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from zoo.config import SPLITS, DataConfig
from zoo.data import decoding
from zoo.data.cache import Append, file_states, load_or_decode
from zoo.data.images import ImageDataset, consecutive
from zoo.data.listing import account, list_images
from zoo.data.splits import NAMES, check_enough, chosen, fill
from zoo.errors import UsageError

DEFAULT_SIZE = 64  # chosen
DEFAULT_CHANNELS = 3
HELD_OUT = 10  # one in ten images for validation, one in ten for test; chosen
SMALLEST_SIDE = 8  # pixels; chosen: below it an image is an icon's placeholder or a mistake


def load(config: DataConfig) -> ImageDataset:
    """All images under `config.data_dir`, cropped to their central square and resized.

    Every type of file that Pillow decodes is an image, and links are followed. A line of the log
    says how many files were found, used and left out, and why. Images smaller than the wanted size
    are enlarged; those without `config.channels` are converted.

    Sub-folders that are called as splits (`train`, `val`, `test`, ...) are the splits, and a split
    that is missing is taken from `train` (`zoo.data.splits`). Without them the files are ordered by
    a hash of their relative paths; the first tenth is for test, the second for validation, the rest
    for training. Where all images lie in several sub-folders, of the whole or of each split, these
    are the classes, in the order of their names.

    Raises:
        UsageError: no such folder, an unreadable file, or too few images.
    """
    size = DEFAULT_SIZE if config.image_size is None else config.image_size
    channels = DEFAULT_CHANNELS if config.channels is None else config.channels
    folder = Path(str(config.data_dir))
    listing = list_images(folder)
    layout = Layout.of(listing.names)
    names, labels = layout.names, layout.labels
    _check_enough(len(names), folder)

    def read(name: str) -> np.ndarray:
        image = decoding.open_image(str(folder / name), str(folder / name), channels)
        if min(image.size) < SMALLEST_SIDE:
            raise decoding.BrokenImage(
                f"{folder / name} has {image.width}x{image.height} pixels, expected at least "
                f"{SMALLEST_SIDE} a side",
                reason=f"images below {SMALLEST_SIDE} pixels a side",
            )
        return decoding.crop_and_resize(image, min(image.size), size)

    def decode(append: Append) -> dict:
        skipped = decoding.decode_all(
            names, read, append, skip_broken=config.skip_broken, labels=labels
        )
        _check_enough(len(names) - len(skipped), folder)
        used = [_readable(name) for name in names if name not in skipped]
        counts = layout.counts(skipped)
        return {"counts": counts, "names": used, **decoding.skip_notes(skipped)}

    ingredients = {
        "folder": str(folder),
        "files": file_states(folder, names),
        "skip_broken": config.skip_broken,
        "decoder": decoding.DECODER_VERSION,
        "notes": 2,  # of this set alone: they have names
    }
    if layout.class_names is not None or layout.splits is not None:
        ingredients["layout"] = [layout.class_names, layout.splits is not None]
    decoded = load_or_decode("folder", ingredients, (size, size, channels), decode)
    provenance = {
        "source": str(folder),
        "crop": "central square",
        "resize": f"{size}x{size}, Pillow bilinear (antialiased)",
        "skipped": decoded.notes["skipped"],
        **account(
            "folder",
            folder,
            len(decoded.images),
            {**listing.left_out, **decoded.notes["left_out"]},
        ),
    }
    splits = consecutive(
        decoded.notes["counts"], decoded.images, decoded.labels, decoded.notes["names"]
    )
    return ImageDataset("folder", splits, provenance, layout.class_names)


@dataclasses.dataclass(frozen=True, eq=False)
class Layout:
    """What the sub-folders of a folder say.

    Attributes:
        names: relative paths of the images, in the order in which they are decoded.
        splits: the split of each, in consecutive stretches; None where there are none and tenths
            of what can be decoded are taken.
        labels: int64, the class of each; None where there are none.
        class_names: of the labels.
    """

    names: Sequence[str]
    splits: Sequence[str] | None
    labels: np.ndarray | None
    class_names: Sequence[str] | None

    @classmethod
    def of(cls, names: Sequence[str]) -> Layout:
        """The layout of relative paths that are ordered by their hash.

        Raises:
            UsageError: there are sub-folders of splits, and no training images in them.
        """
        parts = {name: Path(name).parts for name in names}
        origins = {name: NAMES.get(path[0].lower()) for name, path in parts.items()}
        by_split = None not in origins.values() and all(len(path) > 1 for path in parts.values())
        depth = 1 if by_split else 0
        ordered = list(names)
        splits: list[str] | None = None
        if by_split:
            sizes = Counter(origins.values())
            check_enough({str(split): count for split, count in sizes.items()}, "the folder")
            ordered, splits = [], []
            for split, (origin, places) in fill(map(str, sizes)).items():
                own = [name for name in names if origins[name] == origin]
                ordered += [own[row] for row in chosen(0, len(own), places)]
                splits += [split] * (len(ordered) - len(splits))
        folders = {path[depth] for path in parts.values() if len(path) > depth + 1}
        if len(folders) < 2 or any(len(path) <= depth + 1 for path in parts.values()):
            return cls(ordered, splits, None, None)
        class_names = sorted(folders)
        numbers = {name: number for number, name in enumerate(class_names)}
        labels = np.array([numbers[parts[name][depth]] for name in ordered], np.int64)
        return cls(ordered, splits, labels, class_names)

    def in_turn(self) -> tuple[list[str], list[str]]:
        """The names of the files and of their classes, sorted, the first of each class before the
        second of any.

        Raises:
            UsageError: there are no classes.
        """
        if self.labels is None or self.class_names is None:
            raise UsageError(
                "class_names are those of sub-folders, and not all images lie in several: expected "
                "a folder as photos/cats/1.png, photos/dogs/2.png"
            )
        places: Counter[int] = Counter()
        turns = []
        for name, label in sorted(zip(self.names, self.labels.tolist(), strict=True)):
            turns.append((places[label], label, name))
            places[label] += 1
        turns.sort()
        return [name for *_, name in turns], [self.class_names[label] for _, label, _ in turns]

    def counts(self, skipped: Sequence[str] | dict[str, str]) -> dict[str, int]:
        """Images by split, in the order of `names`, once some are left out."""
        if self.splits is None:
            count = len(self.names) - len(skipped)
            tenth = count // HELD_OUT
            return {"test": tenth, "validation": tenth, "train": count - 2 * tenth}
        pairs = zip(self.names, self.splits, strict=True)
        used = Counter(split for name, split in pairs if name not in skipped)
        return {split: used[split] for split in SPLITS}


def _readable(name: str) -> str:
    """A file name as text, with escapes for bytes that are none."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _check_enough(count: int, folder: Path) -> None:
    if count < HELD_OUT:
        raise UsageError(
            f"data_dir={folder} has {count} usable images: the split into train, validation and "
            f"test (80/10/10) needs at least {HELD_OUT}"
        )
