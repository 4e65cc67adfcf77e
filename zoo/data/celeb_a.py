"""CelebA, 64 x 64, from a local folder, a local zip or TensorFlow Datasets.

The published files lie on Google Drive, whose quota often refuses them; a local copy of
`img_align_celeba` (202,599 files, 000001.jpg to 202599.jpg, 178 x 218 pixels) is the sure way.
"""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import numpy as np
from absl import logging
from PIL import Image

from zoo.config import SPLITS, DataConfig
from zoo.data import decoding, tfds_sets
from zoo.data.cache import Append, file_state, file_states, load_or_decode
from zoo.data.images import ImageDataset, consecutive
from zoo.data.listing import account, tally
from zoo.errors import UsageError

SIZE = 64
CROP = 140  # central square in pixels, the "closecrop" of DCGAN and WAE (paper.md section 1 [C])
ALIGNED_SIZE = (178, 218)  # width, height
LAST = {"train": 162_770, "validation": 182_637, "test": 202_599}  # official, by image number
SUBFOLDER = "img_align_celeba"
NAME = re.compile(r"(\d{6})\.jpe?g", re.IGNORECASE)

NOT_NAMED = "not named 000001.jpg to 202599.jpg"

RECIPE = {
    "crop": f"central {CROP}x{CROP}",
    "resize": f"{SIZE}x{SIZE}, Pillow bilinear (antialiased)",
    "decoder": decoding.DECODER_VERSION,
}


def load(config: DataConfig) -> ImageDataset:
    """The aligned faces, without labels, in the official split 162,770 / 19,867 / 19,962.

    `config.data_dir` is local when it is a zip, or a folder of jpg files, or a folder with
    `img_align_celeba` in it; otherwise it is the directory of TensorFlow Datasets.

    Raises:
        UsageError: the copy is missing, damaged or not CelebA, or cannot be fetched.
    """
    source = local_source(config.data_dir)
    if source is not None:
        return _load_local(source, config.skip_broken)

    def shrink(images: np.ndarray, split: str, start: int) -> np.ndarray:
        del split, start
        return np.stack(
            [decoding.crop_and_resize(Image.fromarray(image), CROP, SIZE) for image in images]
        )

    decoded, provenance = tfds_sets.load(
        "celeb_a",
        config.data_dir,
        splits=SPLITS,
        image_shape=(SIZE, SIZE, 3),
        transform=shrink,
        recipe=RECIPE,
        remedy=f"give --data_dir=<the {SUBFOLDER} folder or {SUBFOLDER}.zip>",
    )
    splits = consecutive(decoded.notes["counts"], decoded.images, None)
    return ImageDataset("celeb_a", splits, {**provenance, **RECIPE})


def local_source(data_dir: str | None) -> Path | None:
    """The local folder or zip that `data_dir` stands for, or None for TensorFlow Datasets."""
    if data_dir is None:
        return None
    path = Path(data_dir).resolve()
    if path.suffix.lower() == ".zip" or path.is_file():
        return path
    for folder in (path, path / SUBFOLDER):
        if folder.is_dir() and any(f.suffix.lower() in (".jpg", ".jpeg") for f in folder.iterdir()):
            return folder
    return None


def _load_local(source: Path, skip_broken: bool) -> ImageDataset:
    with ExitStack() as stack:
        state: Any  # JSON-able
        if source.is_dir():
            members, read = _open_folder(source)
            state = file_states(source, members)
        else:
            state = file_state(source)
            members, read = _open_zip(source, stack)
        names = _in_official_order(members, source)
        others = tally((NOT_NAMED, name) for name in sorted(set(members) - set(names)))

        def decode(append: Append) -> dict:
            skipped = decoding.decode_all(names, read, append, skip_broken=skip_broken)
            left_out = set(skipped)
            used = Counter(_split_of(name) for name in names if name not in left_out)
            return {
                "counts": {split: used[split] for split in SPLITS},
                **decoding.skip_notes(skipped),
            }

        ingredients = [str(source), state, skip_broken, RECIPE]
        decoded = load_or_decode("celeb_a", ingredients, (SIZE, SIZE, 3), decode)
    accounted = account(
        "celeb_a", source, len(decoded.images), {**others, **decoded.notes["left_out"]}
    )
    if len(names) < LAST["test"]:
        logging.warning("celeb_a: %s has %d of the %d images", source, len(names), LAST["test"])
    provenance = {
        "source": str(source),
        **RECIPE,
        "skipped": decoded.notes["skipped"],
        **accounted,
    }
    splits = consecutive(decoded.notes["counts"], decoded.images, None)
    return ImageDataset("celeb_a", splits, provenance)


def _open_folder(folder: Path) -> tuple[list[str], Callable[[str], np.ndarray]]:
    members = [path.name for path in sorted(folder.iterdir()) if not path.is_dir()]
    return members, lambda name: _read(str(folder / name), str(folder / name))


def _open_zip(path: Path, stack: ExitStack) -> tuple[list[str], Callable[[str], np.ndarray]]:
    if path.exists() and not path.is_file():  # a FIFO would be waited for
        raise UsageError(f"{path} is not a regular file: expected {SUBFOLDER}.zip")
    try:
        archive = stack.enter_context(zipfile.ZipFile(path))
    except (zipfile.BadZipFile, OSError) as error:
        raise UsageError(
            f"{path} is not a readable zip ({error}): expected {SUBFOLDER}.zip, whole, or a folder "
            "of its images"
        ) from error

    def read(name: str) -> np.ndarray:
        try:
            file = archive.open(name)
        except Exception as error:  # A damaged directory fails in as many ways as a damaged image.
            raise decoding.BrokenImage(f"{name} in {path} cannot be read ({error})") from error
        with file:
            return _read(file, f"{name} in {path}")

    return [name for name in archive.namelist() if not name.endswith("/")], read


def _read(file: str | IO[bytes], label: str) -> np.ndarray:
    image = decoding.open_image(file, label)
    if image.size != ALIGNED_SIZE:
        raise decoding.BrokenImage(
            f"{label} has {image.width}x{image.height} pixels, expected the aligned 178x218",
            reason="images of another size than 178x218",
        )
    return decoding.crop_and_resize(image, CROP, SIZE)


def _in_official_order(members: Sequence[str], source: Path) -> list[str]:
    """The members that are named as CelebA names its images, by image number."""
    numbered = [name for name in members if NAME.fullmatch(name.rsplit("/", 1)[-1])]
    if not numbered:
        raise UsageError(
            f"{source} has no images named 000001.jpg to 202599.jpg: expected {SUBFOLDER}; "
            "for other images use --dataset=folder"
        )
    for name in numbered:
        if not 1 <= _number(name) <= LAST["test"]:
            raise UsageError(f"{name} in {source} is not of CelebA: its images are 1 to 202599")
    present, first = {_split_of(name) for name in numbered}, 1
    for split, last in LAST.items():
        if split not in present:
            raise UsageError(
                f"{source} has no images of split {split}, {first:06d}.jpg to {last:06d}.jpg: "
                "expected all of CelebA; for a part of it use --dataset=folder"
            )
        first = last + 1
    return sorted(numbered, key=_number)


def _number(name: str) -> int:
    return int(name.rsplit("/", 1)[-1].partition(".")[0])


def _split_of(name: str) -> str:
    return next(split for split, last in LAST.items() if _number(name) <= last)
