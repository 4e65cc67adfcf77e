"""Files that appear complete or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zoo.errors import UsageError

ABANDONED = 3600  # seconds; chosen: no living writer leaves its file alone for as long

_TEMPORARY = ".partial-"
# TensorFlow looks for a checkpoint by a pattern, and finds none below a folder with these.
_TF_PATTERN = "[\\"


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`, which takes its place when the block ends well."""
    with reported(path), _parents(path):
        handle, name = tempfile.mkstemp(prefix=_TEMPORARY, suffix=path.suffix, dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            # mkstemp made it private to its owner; a finished file is readable as any other.
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yields a temporary folder beside `path`, which takes its place when the block ends well.

    Raises:
        UsageError: `path` exists already or cannot be written.
    """
    if path.exists():
        raise UsageError(f"{path} exists already and is not overwritten")
    with reported(path), _parents(path):
        temporary = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=path.parent))
        try:
            yield temporary
            temporary.chmod(0o777 & ~_umask())
            temporary.rename(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def _parents(path: Path) -> Iterator[None]:
    """Makes the folders above `path`, and takes them away again where the block fails."""
    missing = [folder for folder in path.parents if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):  # not empty: others write there too
            for folder in missing:
                folder.rmdir()
        raise


def remove_partial(folder: Path, older_than: float = 0.0) -> None:
    """Removes what killed writers left behind in `folder`.

    Args:
        folder: the folder; nothing happens where there is none.
        older_than: seconds since the last change; 0 where the caller is the folder's one writer.
    """
    for leftover in folder.glob(_TEMPORARY + "*"):
        with contextlib.suppress(OSError):
            if time.time() - leftover.lstat().st_mtime >= older_than:
                remove(leftover)


def remove(path: Path) -> None:
    """Removes a file, or a folder with all that is in it, as far as that is possible."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Exclusive use of a file that is read, changed and written back, among cooperating processes
    of this machine; waits for its turn."""
    with reported(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.with_name(f".{path.name}.lock").open("w")
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def write_json(path: Path, value: Any) -> None:
    """Writes `value` as indented JSON, atomically."""
    text = json.dumps(value, indent=2, allow_nan=False) + "\n"
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        UsageError: the file is missing, unreadable, not JSON or has a number that is not finite.
    """
    try:
        return parse_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} cannot be read as JSON: {error}") from None


def parse_json(text: str) -> Any:
    """The value of a JSON text of finite numbers; Python's own reader takes NaN and 1e999 too.

    Raises:
        ValueError: it is none.
        RecursionError: it is nested too deeply.
    """

    def number(digits: str) -> float:
        value = float(digits)
        if not math.isfinite(value):
            raise ValueError(f"{digits} is not a finite number")
        return value

    return json.loads(text, parse_float=number, parse_constant=number)


def usable_path(path: str | Path, name: str) -> Path:
    """`path` as a `Path`; refuses one that TensorFlow cannot write to and read from again.

    Args:
        path: of a folder that holds checkpoints or a SavedModel.
        name: how the message calls it.

    Raises:
        UsageError: naming what is wrong with it.
    """
    text = str(path)
    if not text:
        raise UsageError(f"{name}='' is not accepted: expected a path")
    odd = [c for c in text if c in _TF_PATTERN or not encodable(c)]
    if odd:
        raise UsageError(
            f"{name}={text!r} is not accepted: with {odd[0]!r} in it, TensorFlow would not find "
            "its files again; expected a path without"
        )
    return Path(path)


def encodable(text: str) -> bool:
    """Whether a file name or a JSON file can hold it: UTF-8, and no NUL."""
    return "\0" not in text and text == text.encode(errors="ignore").decode()


def check_writable(path: Path) -> Path:
    """`path`, if a file could be written there; told before the work whose result it takes.

    Raises:
        UsageError: it is a folder, or the folder above it cannot be made or written.
    """
    with reported(path):
        if path.is_dir():
            raise UsageError(f"cannot write {path}: it is a folder")
        above = path.absolute().parent
        while not above.exists():
            above = above.parent
        if not above.is_dir():
            raise UsageError(f"cannot write {path}: {above} is a file")
        if not os.access(above, os.W_OK | os.X_OK):
            raise UsageError(f"cannot write {path}: {above} is read-only or not yours")
    return path


@contextlib.contextmanager
def reported(path: Path) -> Iterator[None]:
    """Turns what the operating system says to writing `path` into a `UsageError`."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
