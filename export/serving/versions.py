"""The version folders of a model: which there are, and what came of loading each."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from tensorflow_serving.apis import get_model_status_pb2

from zoo.errors import reason

STATES = get_model_status_pb2.ModelVersionStatus
# What loading reads; `assets.extra` may be added to while a version is served.
_READ = ("", "variables", "assets")
_NUMBER = re.compile("[0-9]{1,18}")  # within int64

Loaded = TypeVar("Loaded")
_Files = tuple[tuple[str, int, int, int], ...]


@dataclasses.dataclass(frozen=True)
class _Attempt(Generic[Loaded]):
    files: _Files  # as they were before they were read
    loaded: Loaded | None
    error: str = ""


class Versions(Generic[Loaded]):
    """Loads version folders when they are asked for; safe to call from many threads.

    What was loaded, or could not be, holds as long as the files of its folder stay as they were:
    a version that is replaced, or completed by a copy under way, is loaded again.

    Args:
        folder: the versions lie in it.
        load: from number and folder; whatever it raises is why the version cannot be served.
    """

    def __init__(self, folder: Path, load: Callable[[int, Path], Loaded]):
        self._folder, self._load = folder, load
        self._attempts: dict[int, _Attempt[Loaded]] = {}
        self._lock = threading.Lock()
        self._loading: int | None = None

    def numbers(self) -> list[int]:
        """The versions that are there, the newest first."""
        return list(self._folders())

    def newest(self, number: int | None = None) -> Loaded | None:
        """The newest version that can be loaded, or only that of this number; else None."""
        for candidate, folder in self._folders().items():
            if number in (None, candidate):
                loaded = self._attempt(candidate, folder).loaded
                if loaded is not None:
                    return loaded
        return None

    def states(self, number: int | None = None) -> dict[int, tuple[int, str]]:
        """TF Serving's state and the error of every version, or of one; the newest first.

        What is asked for, the newest where it is all, is loaded first, unless a version is being
        loaded. START is a version that no request has asked for yet.
        """
        if self._loading is None:
            self.newest(number)
        folders = self._folders()
        return {n: self._state(n, folders[n]) for n in folders if number in (None, n)}

    def failures(self) -> dict[int, str]:
        """Why versions could not be loaded."""
        return {n: a.error for n, a in self._attempts.copy().items() if a.loaded is None}

    def _state(self, number: int, folder: Path) -> tuple[int, str]:
        attempt = self._attempts.get(number)
        if attempt and attempt.files == _files(folder):
            return (STATES.END if attempt.loaded is None else STATES.AVAILABLE), attempt.error
        return (STATES.LOADING if number == self._loading else STATES.START), ""

    def _attempt(self, number: int, folder: Path) -> _Attempt[Loaded]:
        # Without the lock first: a version that loads holds up nobody who asks for another.
        attempt = self._attempts.get(number)
        if attempt and attempt.files == _files(folder):
            return attempt
        with self._lock:
            files = _files(folder)
            attempt = self._attempts.get(number)
            if attempt and attempt.files == files:
                return attempt
            self._loading = number
            try:
                attempt = _Attempt(files, self._load(number, folder))
            except Exception as error:  # damage has many faces
                attempt = _Attempt(files, None, f"{type(error).__name__}: {reason(error)}")
            finally:
                self._loading = None
            self._attempts[number] = attempt
            return attempt

    def _folders(self) -> dict[int, Path]:
        folders = {}
        with contextlib.suppress(OSError):  # no folder any more, so no versions
            for name in os.listdir(self._folder):
                folder = self._folder / name
                if _NUMBER.fullmatch(name) and (folder / "saved_model.pb").exists():
                    folders[int(name)] = folder
        for gone in self._attempts.keys() - folders.keys():  # and the memory it took
            self._attempts.pop(gone, None)
        return dict(sorted(folders.items(), reverse=True))


def _files(folder: Path) -> _Files:
    """Name, inode, size in bytes and time of change in nanoseconds of what loading reads."""
    found = []
    for part in _READ:
        with contextlib.suppress(OSError), os.scandir(folder / part) as entries:
            for entry in entries:
                if entry.is_file():
                    status = entry.stat()
                    state = (status.st_ino, status.st_size, status.st_mtime_ns)
                    found.append((f"{part}/{entry.name}", *state))
    return tuple(sorted(found))
