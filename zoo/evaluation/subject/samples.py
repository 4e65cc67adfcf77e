"""Images that another program made, in the place of a model's samples."""

from __future__ import annotations

import copy
import hashlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data import decoding
from zoo.data.cache import Append, file_states, load_or_decode
from zoo.data.images import add_to
from zoo.data.listing import account, list_images
from zoo.errors import UsageError, reason
from zoo.evaluation.subject.subject import Subject
from zoo.files import user_path
from zoo.pixels import as_floats, check_images

_BLOCK = 4096  # images that are read at a time; chosen


class GivenSamples(Subject):
    """Images behind the one signature `sample`, in the order that its seed draws.

    Row `i` of a seed is image `i` modulo N of that order: as many consecutive rows as there are
    images have each of them once, whichever order a file had them in.

    Args:
        name: how errors and records call them.
        images: `[N, H, W, C]`, uint8, or floats in [0, 1]; may be a memory map.

    Raises:
        UsageError: type, shape or values are others, or there is no image at all.
    """

    def __init__(self, name: str, images: np.ndarray):
        try:
            if images.ndim != 4 or not len(images):
                check_images(images)  # says so
            for start in range(0, len(images), _BLOCK):
                check_images(images[start : start + _BLOCK])
        except UsageError as error:
            raise UsageError(f"{name}: {error}") from None
        super().__init__(name, {"sample": self._refuse}, "not_available", _fingerprint(images))
        self.images = images
        self.image_shape = tuple(images.shape[1:])
        self._rows = np.arange(len(images))
        self.available = len(images)

    @classmethod
    def read(
        cls, path: str | Path, image_shape: tuple[int, int, int], skip_broken: bool = False
    ) -> GivenSamples:
        """Those of a folder of image files, of an .npz with `images`, or of an .npy.

        Args:
            path: the folder or file.
            image_shape: `(H, W, C)` that the images have to have.
            skip_broken: leave out files of a folder that cannot be decoded.

        Raises:
            UsageError: there is no such file, it cannot be read, or its images are others.
        """
        place = user_path(path, "samples")
        if place.is_dir():
            images = _read_folder(place, image_shape, skip_broken)
        elif place.is_file() and place.suffix in (".npy", ".npz"):
            images = _read_array(place)
        else:
            kind = "is no such file" if place.exists() else "does not exist"
            raise UsageError(
                f"samples={path} {kind}: expected a folder of images, an .npz with `images`, or "
                "an .npy"
            )
        samples = cls(str(place.resolve()), images)
        if samples.image_shape != tuple(image_shape):
            raise UsageError(
                f"{samples.name} has images {samples.image_shape}: expected {tuple(image_shape)}, "
                "as the data"
            )
        return samples

    def batches(
        self,
        signature: str,
        batch_size: int | None = None,
        seed: int | None = None,
        first_row: int = 0,
        count: int | None = None,
        **inputs: np.ndarray,
    ) -> Iterator[dict[str, np.ndarray]]:
        """As `Subject.batches`, of `sample` alone; yields `images` and no `z`."""
        self.require(signature)
        assert count is not None  # `sample` has no other input
        size = batch_size or self.batch_size
        order = np.random.default_rng(seed).permutation(self._rows)
        for start in range(0, count, size):
            rows = np.arange(first_row + start, first_row + min(start + size, count))
            yield {"images": as_floats(self.images[order[rows % len(order)]])}

    def apart(self, seed: int) -> tuple[GivenSamples, GivenSamples]:
        """Four fifths of them and the rest, by chance; twice all, where there is but one."""
        rows = np.random.default_rng([seed, 1]).permutation(self._rows)
        held = math.ceil(len(rows) / 5)
        parts = (rows[held:], rows[:held]) if len(rows) > 1 else (rows, rows)
        return self._only(parts[0]), self._only(parts[1])

    def _only(self, rows: np.ndarray) -> GivenSamples:
        part = copy.copy(self)
        part._rows, part.available = rows, len(rows)
        return part

    def _refuse(self, **_: Any) -> Any:
        raise NotImplementedError("images that are there are read by `batches`")


def _read_array(file: Path) -> np.ndarray:
    try:
        if file.suffix == ".npy":
            return np.lib.format.open_memmap(file, mode="r")
        with file.open("rb") as stream, np.load(stream) as arrays:
            names = arrays.files
            if "images" in names:
                return arrays["images"]
    except Exception as error:  # damage has many faces
        odd = "it is no NumPy file, or holds objects" if "pickle" in str(error) else reason(error)
        raise UsageError(f"{file} cannot be read as an array: {odd}") from None
    raise UsageError(f"{file} has no array `images`: it has {', '.join(names) or 'none'}")


def _read_folder(folder: Path, image_shape: tuple[int, int, int], skip_broken: bool) -> np.ndarray:
    height, width, channels = image_shape
    listing = list_images(folder, "samples")

    def read(name: str) -> np.ndarray:
        file = folder / name
        image = decoding.open_image(str(file), str(file), 3 if channels == 1 else channels)
        if (image.height, image.width) != (height, width):
            raise UsageError(
                f"{file} has {image.height}x{image.width} pixels, the data {height}x{width}: "
                "expected equal sizes, since nothing here resizes samples"
            )
        pixels = np.asarray(image)
        if channels > 1:
            return pixels
        if not (pixels == pixels[..., :1]).all():
            raise UsageError(f"{file} has colours, the data are grey: expected grey images")
        return pixels[..., :1]

    def decode(append: Append) -> dict[str, Any]:
        skipped = decoding.decode_all(listing.names, read, append, skip_broken=skip_broken)
        return decoding.skip_notes(skipped)

    ingredients = {
        "folder": str(folder),
        "files": file_states(folder, listing.names),
        "skip_broken": skip_broken,
        "decoder": decoding.DECODER_VERSION,
    }
    decoded = load_or_decode("samples", ingredients, image_shape, decode)
    left_out = {**listing.left_out, **decoded.notes["left_out"]}
    account("samples", folder, len(decoded.images), left_out)
    return decoded.images


def _fingerprint(images: np.ndarray) -> str:
    """16 hex digits of type, shape and every value."""
    digest = hashlib.sha256(json.dumps([images.dtype.str, images.shape]).encode())
    add_to(digest, images)
    return digest.hexdigest()[:16]
