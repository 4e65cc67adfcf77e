"""Files that appear complete or not at all, and the places that users name."""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zoo.errors import UsageError
from zoo.partial import partial_file, partial_folder, partial_name, remove_partial

ROOM = 200  # bytes; chosen: names below a run folder or SavedModel take up to 120

# TensorFlow looks for a checkpoint by a pattern, and finds none below a folder with these.
_TF_PATTERN = "[\\"


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`, which takes its place when the block ends well.

    Raises:
        UsageError: `path` cannot be written.
    """
    with reported(path), _parents(path):
        remove_partial(path.parent)
        with partial_file(path.parent, path.suffix) as temporary:
            yield temporary
            # It was private to its owner; a finished file is readable as any other.
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yields a temporary folder beside `path`, which takes its place when the block ends well.

    Raises:
        UsageError: `path` exists already or cannot be written.
    """
    if path.exists():
        raise UsageError(f"{path} exists already and is not overwritten")
    with reported(path), _parents(path):
        remove_partial(path.parent)
        with partial_folder(path.parent) as temporary:
            yield temporary
            temporary.chmod(0o777 & ~_umask())
            temporary.rename(path)


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


@contextlib.contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Exclusive use of a folder among cooperating processes of this machine.

    The lock goes with the process, however it ends.

    Raises:
        UsageError: another process holds it, or the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # For reading as well: to open a FIFO of that name for writing alone would wait for ever.
        file = os.fdopen(os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o666), "w")
    except OSError as error:
        raise UsageError(f"cannot write {folder}: {error.strerror}") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(f"{folder} is in use by another process") from None
        yield


def write_json(path: Path, value: Any) -> None:
    """Writes `value` as indented JSON, atomically."""
    text = json.dumps(value, indent=2, allow_nan=False) + "\n"
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_bytes(path: Path) -> bytes:
    """The content of a file.

    Raises:
        UsageError: it is a folder, a FIFO, whose reader would wait for ever, or a device.
        OSError: it is missing or unreadable.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise UsageError(f"{path} is not a regular file")
    return path.read_bytes()


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        UsageError: the file is missing, unreadable, not JSON or has a number that is not finite.
    """
    try:
        content = read_bytes(path)
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read as JSON: {error}") from None
    try:
        return parse_json(content.decode())
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} cannot be read as JSON: {error}") from None


def parse_json(text: str) -> Any:
    """The value of a JSON text whose numbers and texts others can hold too: finite floats, whole
    numbers of 64 bits, and no half of a surrogate pair. Python's own reader takes more.

    Raises:
        ValueError: it is none.
        RecursionError: it is nested too deeply.
    """

    def number(digits: str) -> float:
        value = float(digits)
        if not math.isfinite(value):
            raise ValueError(f"{digits} is not a finite number")
        return value

    def whole(digits: str) -> int:
        value = int(digits)
        if not -(2**63) <= value < 2**64:
            raise ValueError(f"{digits[:20]}... is a number of more than 64 bits")
        return value

    value = json.loads(text, parse_float=number, parse_int=whole, parse_constant=number)
    if "\\u" in text:  # as an escape alone can such a half come in
        json.dumps(value, ensure_ascii=False).encode()
    return value


def user_path(path: str | os.PathLike[str], name: str = "path") -> Path:
    """`path` with a leading `~` or `~user` expanded, as a shell does where it sees one.

    Args:
        path: as a user gave it; `./~` is a folder of that name.
        name: how the message calls it.

    Raises:
        UsageError: there is no such home folder, or it is no path at all.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise UsageError(f"{name} is a {type(path).__name__}: expected a path")
    text = os.fspath(path)
    expanded = text
    with contextlib.suppress(ValueError):  # a NUL in it
        expanded = os.path.expanduser(text)
    if expanded == text and text.startswith("~"):
        raise UsageError(
            f"{name}={text!r} is not accepted: the home folder of "
            f"{text[1:].partition('/')[0] or 'this user'} is not known; expected a path without "
            "~, or with ./ before it"
        )
    place = Path(expanded)
    # What was `./~` must not be expanded by the next who asks.
    return place.absolute() if str(place).startswith("~") else place


def usable_path(path: str | os.PathLike[str], name: str) -> Path:
    """`user_path`; refuses one that TensorFlow cannot write to and read from again.

    Args:
        path: of a folder that holds checkpoints or a SavedModel.
        name: how the message calls it.

    Raises:
        UsageError: naming what is wrong with it.
    """
    place = user_path(path, name)
    if not os.fspath(path):
        raise UsageError(f"{name}='' is not accepted: expected a path")
    text = str(place)
    odd = [c for c in text if c in _TF_PATTERN or not encodable(c)]
    if odd:
        raise UsageError(
            f"{name}={text!r} is not accepted: with {odd[0]!r} in it, TensorFlow would not find "
            "its files again; expected a path without"
        )
    return place


def check_length(path: Path, below: int = 0) -> Path:
    """`path`, if it is no longer than the system takes; told before the work.

    Args:
        path: need not exist.
        below: bytes that the names of the files in it will need.

    Raises:
        UsageError: it, or one name in it, is too long.
    """
    absolute = path.absolute()
    known = next(place for place in (absolute, *absolute.parents) if os.path.exists(place))
    longest = max(absolute.parts, key=_bytes)
    for what, text, most in (
        ("a name", longest, os.pathconf(known, "PC_NAME_MAX")),
        ("a path", str(absolute), os.pathconf(known, "PC_PATH_MAX") - 1 - below),
    ):
        if (size := _bytes(text)) > most:
            shown = str(path) if len(str(path)) < 60 else f"{str(path)[:60]}..."
            raise UsageError(
                f"cannot write {shown}: File name too long: {what} of {size} bytes, expected at "
                f"most {most}"
            )
    return path


def _bytes(text: str) -> int:
    return len(text.encode(errors="surrogatepass"))


def encodable(text: str) -> bool:
    """Whether a file name or a JSON file can hold it: UTF-8, and no NUL."""
    return "\0" not in text and text == text.encode(errors="ignore").decode()


def check_writable(path: Path) -> Path:
    """`path`, if a file could be written there; told before the work whose result it takes.

    Raises:
        UsageError: it is a folder, a FIFO or a device, its name is too long, or the folder above
            it cannot be made or written.
    """
    with reported(path):
        check_length(path)
        if path.is_dir():
            raise UsageError(f"cannot write {path}: it is a folder")
        check_length(path.with_name(partial_name(path.suffix)))
        if path.exists() and not path.is_file():
            raise UsageError(f"cannot write {path}: it is not a regular file")
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
