"""Decoded images, kept as `.npy` files between runs and opened as memory maps.

The files lie under `$ZOO_CACHE_DIR`, else `$XDG_CACHE_HOME/zoo`, else `~/.cache/zoo`, never beside
the source. An entry is `<name>-<key>.npy`, where there are labels `.labels.npy`, and a `.json` that
is written last and makes the entry valid. The whole folder may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from zoo.errors import UsageError
from zoo.files import atomic_file, read_json, user_path

Append = Callable[[np.ndarray, np.ndarray | None], None]
Decode = Callable[[Append], dict[str, Any]]


@dataclasses.dataclass(frozen=True, eq=False)
class Decoded:
    """What a decoder made of a source.

    Attributes:
        images: uint8 `[N, H, W, C]`; a read-only memory map when it comes from the cache.
        labels: int64 `[N]`, or None.
        notes: what the decoder returned; JSON-able.
    """

    images: np.ndarray
    labels: np.ndarray | None
    notes: dict[str, Any]


class _UnwritableError(Exception):
    """The cache folder does not take the files."""


def cache_dir() -> Path:
    """The folder of all cached sets; it need not exist.

    Raises:
        UsageError: it would lie in the home folder, and there is none.
    """
    if folder := os.environ.get("ZOO_CACHE_DIR"):
        return user_path(folder, "ZOO_CACHE_DIR")
    if folder := os.environ.get("XDG_CACHE_HOME"):
        return user_path(folder, "XDG_CACHE_HOME") / "zoo"
    try:
        return user_path("~/.cache/zoo")
    except UsageError:
        raise UsageError("no home folder is known") from None


def file_state(path: Path) -> list[int] | None:
    """Size in bytes and time of change in ns, which tell another file; None where there is none."""
    try:
        state = path.stat()
    except OSError:  # Whoever reads the file says what is wrong with it.
        return None
    return [state.st_size, state.st_mtime_ns]


def file_states(folder: Path, names: Iterable[str]) -> list[list[Any]]:
    """Name and `file_state` of each file of a folder."""
    return [[name, file_state(folder / name)] for name in names]


def load_or_decode(
    name: str, ingredients: Any, image_shape: tuple[int, int, int], decode: Decode
) -> Decoded:
    """Returns the cached images of a source, decoding them when there are none.

    A missing or truncated entry is decoded again. Where the folder cannot be written the images
    stay in memory, with one warning.

    Args:
        name: first part of the file names.
        ingredients: JSON-able, all that determines the content; None where that cannot be told,
            which keeps the images in memory.
        image_shape: `(H, W, C)`.
        decode: calls `append(images, labels)` with uint8 `[n, H, W, C]` and int64 `[n]` (or None)
            as often as it likes, and returns JSON-able notes. May run twice.
    """
    if ingredients is None:
        return _in_memory(image_shape, decode)
    text = json.dumps([ingredients, image_shape], sort_keys=True)
    try:
        with _writing():
            folder = cache_dir()
        stem = str(folder / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}")
        cached = _read(stem, image_shape)
        return _on_disk(stem, image_shape, decode) if cached is None else cached
    except _UnwritableError as error:
        logging.warning(
            "%s: images are kept in memory, because the cache cannot be written (%s); "
            "ZOO_CACHE_DIR names another folder",
            name,
            error,
        )
    return _in_memory(image_shape, decode)


def _read(stem: str, image_shape: tuple[int, int, int]) -> Decoded | None:
    """The entry, or None where it is missing or damaged."""
    try:
        entry = read_json(Path(f"{stem}.json"))
        images = np.load(f"{stem}.npy", mmap_mode="r")
        labels = np.load(f"{stem}.labels.npy") if entry["labels"] else None
        decoded = Decoded(images, labels, entry["notes"])
        count, crc32 = entry["count"], entry["crc32"]
    except Exception:  # Damage has many faces, and decoding again is the answer to each.
        return None
    sound = images.shape == (count, *image_shape) and images.dtype == np.uint8
    if labels is not None:
        sound = sound and labels.shape == (count,) and labels.dtype == np.int64
    return decoded if sound and _crc32(decoded) == crc32 else None


def _crc32(decoded: Decoded) -> int:
    """Of images and labels: a quarter of a second per gigabyte."""
    of_images = zlib.crc32(np.ascontiguousarray(decoded.images).data)
    return of_images if decoded.labels is None else zlib.crc32(decoded.labels.data, of_images)


def _in_memory(image_shape: tuple[int, int, int], decode: Decode) -> Decoded:
    images, labels = [np.empty((0, *image_shape), np.uint8)], []

    def append(rows: np.ndarray, classes: np.ndarray | None) -> None:
        images.append(rows)
        if classes is not None:
            labels.append(classes)

    notes = decode(append)
    return Decoded(np.concatenate(images), np.concatenate(labels) if labels else None, notes)


def _on_disk(stem: str, image_shape: tuple[int, int, int], decode: Decode) -> Decoded:
    """Streams the images into a new entry, so that memory holds one batch at a time."""
    count, crc32, labels = 0, 0, []
    with contextlib.ExitStack() as stack:
        with _writing():
            Path(stem).parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(_replacing(f"{stem}.npy"))
            _write_header(file, (0, *image_shape))

        def append(rows: np.ndarray, classes: np.ndarray | None) -> None:
            nonlocal count, crc32
            count += len(rows)
            rows = np.ascontiguousarray(rows)
            crc32 = zlib.crc32(rows.data, crc32)
            if classes is not None:
                labels.append(classes)
            with _writing():
                file.write(rows.data)

        notes = decode(append)
        with _writing():
            # NumPy pads the header so that a greater number of rows fits in the same bytes.
            file.seek(0)
            _write_header(file, (count, *image_shape))
            stack.close()
            if labels:
                classes = np.concatenate(labels)
                crc32 = zlib.crc32(classes.data, crc32)
                with _replacing(f"{stem}.labels.npy") as file:
                    np.save(file, classes)
            entry = {"count": count, "labels": bool(labels), "crc32": crc32, "notes": notes}
            with _replacing(f"{stem}.json") as file:
                file.write(json.dumps(entry).encode())
    written = _read(stem, image_shape)
    if written is None:
        raise _UnwritableError(f"{stem}.npy reads back other than it was written")
    return written


def _write_header(file: Any, shape: tuple[int, ...]) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


@contextlib.contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except (OSError, UsageError) as error:
        raise _UnwritableError(str(error)) from error


@contextlib.contextmanager
def _replacing(path: str) -> Iterator[Any]:
    """A binary file that takes its name only when it is complete and on the disk."""
    with atomic_file(Path(path)) as unfinished, unfinished.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
