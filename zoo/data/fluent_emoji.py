"""Fluent emoji, drawn in 3D: colour pictures, 64 x 64, from a local folder.

They are Microsoft's Fluent Emoji (MIT licence), as the npm package `@lobehub/fluent-emoji-3d` (MIT
licence, its version 1.1.0) brings them: 3,391 WebP files, 256 x 256 with alpha, each named by its
Unicode code points, as `1f44b-1f3fd.webp`. `npm pack` fetches the package.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from pathlib import Path

import numpy as np

from zoo.config import SPLITS, DataConfig
from zoo.data import decoding
from zoo.data.cache import Append, file_states, load_or_decode
from zoo.data.images import ImageDataset, consecutive
from zoo.data.listing import account, list_images, tally
from zoo.errors import UsageError

SIZE = 64
PACKAGE = "@lobehub/fluent-emoji-3d"

_NAME = re.compile(r"[0-9a-f]+([-_][0-9a-f]+)*", re.IGNORECASE)
_NO_CODES = "not named by code points"

# Code points that make another of what is nearly the same picture.
_SKIN_TONES = range(0x1F3FB, 0x1F400)
_JOINERS = {0x200D, 0xFE0F}  # zero width joiner, variation selector
_GENDERS = {0x2640, 0x2642}  # signs
_PERSONS = {0x1F468: 0x1F9D1, 0x1F469: 0x1F9D1}  # man and woman, as a person of no gender

RECIPE = {
    "package": f"{PACKAGE} 1.1.0",
    "license": "MIT",
    "resize": f"{SIZE}x{SIZE} on white, Pillow bilinear (antialiased)",
    "splits": "a tenth of the base emoji for test, one for validation, by a hash of each",
    "decoder": decoding.DECODER_VERSION,
}


def load(config: DataConfig) -> ImageDataset:
    """The pictures of the package on white, without labels, about 80/10/10.

    Skin tones and genders of one emoji are in one split: a hash of its `base` decides which.

    Args:
        config: its `data_dir` is the unpacked package or the folder `assets` in it.

    Raises:
        UsageError: no such folder, or none of these pictures; a broken one, or a split without any.
    """
    folder = Path(str(config.data_dir))
    for below in ("package/assets", "assets"):
        folder = folder / below if (folder / below).is_dir() else folder
    listing = list_images(folder)
    named = [name for name in listing.names if _NAME.fullmatch(Path(name).stem)]
    if not named:
        raise UsageError(
            f"data_dir={folder} has no pictures named by code points, as 1f44b-1f3fd.webp: "
            f"expected {PACKAGE}, unpacked; for other images use --dataset=folder"
        )
    others = tally((_NO_CODES, name) for name in sorted(set(listing.names) - set(named)))
    by_split = {split: [name for name in named if split_of(name) == split] for split in SPLITS}
    names = [name for split in SPLITS for name in by_split[split]]

    def read(name: str) -> np.ndarray:
        image = decoding.open_image(str(folder / name), str(folder / name))
        return decoding.crop_and_resize(image, min(image.size), SIZE)

    def decode(append: Append) -> dict:
        skipped = decoding.decode_all(names, read, append, skip_broken=config.skip_broken)
        used = Counter(split_of(name) for name in names if name not in skipped)
        counts = {split: used[split] for split in SPLITS}
        return {"counts": counts, **decoding.skip_notes(skipped)}

    ingredients = [str(folder), file_states(folder, names), config.skip_broken, RECIPE]
    decoded = load_or_decode("fluent_emoji", ingredients, (SIZE, SIZE, 3), decode)
    left_out = {**listing.left_out, **others, **decoded.notes["left_out"]}
    provenance = {
        "source": str(folder),
        **RECIPE,
        **account("fluent_emoji", folder, len(decoded.images), left_out),
    }
    splits = consecutive(decoded.notes["counts"], decoded.images, None)
    return ImageDataset("fluent_emoji", splits, provenance)


def base(name: str) -> str:
    """The code points of a file's name without skin tones, genders and joiners, as `1f44b`."""
    points = [int(part, 16) for part in re.split("[-_]", Path(name).stem)]
    kept = [
        _PERSONS.get(point, point)
        for point in points
        if point not in _SKIN_TONES and point not in _JOINERS | _GENDERS
    ]
    return "-".join(f"{point:x}" for point in kept or points)


def split_of(name: str) -> str:
    """The split of a file, of its base alone."""
    tenth = int.from_bytes(hashlib.sha256(base(name).encode()).digest()[:4], "big") % 10
    return {0: "test", 1: "validation"}.get(tenth, "train")
