"""Temporary files and folders that tell whether their writer lives.

A writer holds a lock on its own. The lock goes with the process, however that ends, so that whoever
comes next knows a killed writer's leftovers from what is being written, and removes them.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

# Seconds; chosen: for file systems without locks, where no living writer leaves its file alone for
# as long.
ABANDONED = 3600

_PREFIX = ".partial-"


def partial_file(folder: Path, suffix: str = "") -> contextlib.AbstractContextManager[Path]:
    """A new empty file in `folder`, removed after the block unless it has got another name."""
    return _partial(lambda: tempfile.mkstemp(prefix=_PREFIX, suffix=suffix, dir=folder))


def partial_folder(folder: Path) -> contextlib.AbstractContextManager[Path]:
    """A new empty folder in `folder`, removed after the block unless it has got another name."""

    def make() -> tuple[int, str]:
        while True:
            name = tempfile.mkdtemp(prefix=_PREFIX, dir=folder)
            with contextlib.suppress(FileNotFoundError):  # taken for a leftover meanwhile
                return os.open(name, os.O_RDONLY), name

    return _partial(make)


def partial_name(suffix: str) -> str:
    """A name as long as those of `partial_file`."""
    return f"{_PREFIX}{'x' * 8}{suffix}"


@contextlib.contextmanager
def _partial(make: Callable[[], tuple[int, str]]) -> Iterator[Path]:
    handle, path = _locked(make)
    try:
        yield path
    finally:
        remove(path)
        os.close(handle)


def _locked(make: Callable[[], tuple[int, str]]) -> tuple[int, Path]:
    """What `make` made, an open descriptor and a path, once it is locked."""
    while True:
        handle, name = make()
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), os.lstat(name)):
                return handle, Path(name)
        os.close(handle)  # taken for a leftover before it was locked


def remove_partial(folder: Path) -> None:
    """Removes what killed writers left behind in `folder`, as far as that is possible."""
    for leftover in folder.glob(_PREFIX + "*"):
        with contextlib.suppress(OSError):
            handle = os.open(leftover, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                if _is_abandoned(handle):
                    remove(leftover)
            finally:
                os.close(handle)


def _is_abandoned(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return time.time() - os.fstat(handle).st_mtime >= ABANDONED
    return True


def remove(path: Path) -> None:
    """Removes a file, or a folder with all that is in it, as far as that is possible."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()
