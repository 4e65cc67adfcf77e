"""Where the versions of an exported model lie: `<output>/<name>/<version>/`."""

from __future__ import annotations

from pathlib import Path

from zoo.errors import UsageError
from zoo.files import ROOM, check_length, usable_path, user_path


def next_version(folder: Path) -> int:
    """The number after the highest version in `folder`."""
    numbers = [int(f.name) for f in folder.glob("*") if f.name.isdecimal()]
    return max(numbers, default=0) + 1


def new_version(output: str | Path, name: str, version: int | None = None) -> Path:
    """The folder of a version that is yet to be written; nothing is made.

    Args:
        output: the folder above `name`.
        name: the model's name towards its clients.
        version: a number that is not taken; the next free one by default.

    Raises:
        UsageError: the version exists, the name is no path component, or there can be no such
            folder.
    """
    if not name or Path(name).name != name or name == "..":
        raise UsageError(f"name={name!r} is not accepted: expected one path component")
    folder = usable_path(user_path(output, "output") / name, "output")
    check_length(folder / str(version or 1), ROOM)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: expected a folder for the versions")
    version = next_version(folder) if version is None else version
    target = folder / str(version)
    if target.exists():
        raise UsageError(
            f"{target} exists already: expected a free version, as {next_version(folder)}"
        )
    return target
