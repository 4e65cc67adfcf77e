"""The images in a folder, and what becomes of all its files."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import logging
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import logging as absl_logging
from PIL import Image, ImageFile

from zoo.errors import UsageError

NAMED = 3  # examples that a line gives of what is left out; chosen

# Formats that Pillow opens and that are no images of pixels: EPS needs Ghostscript, MPEG a player.
_NO_IMAGES = ("EPS", "MPEG")

# Why files are left out, as a line says it after their number.
HIDDEN = "hidden"
OTHER = "of other types"
ODD = "no regular files"
AGAIN = "links to folders that are here already"

_LOG = logging.getLogger("zoo")  # a level of its own: absl's is that of all libraries

# By reason: how many, and some of them.
LeftOut = Mapping[str, tuple[int, Sequence[str]]]


@functools.cache
def extensions() -> frozenset[str]:
    """The endings, as `.png`, of the files that Pillow decodes."""
    Image.init()
    formats = {
        name
        for name, (opener, _) in Image.OPEN.items()
        # A stub knows a format by its head and leaves the decoding to another program.
        if not (isinstance(opener, type) and issubclass(opener, ImageFile.StubImageFile))
    }
    known = Image.registered_extensions().items()
    return frozenset(e for e, name in known if name in formats and name not in _NO_IMAGES)


@dataclasses.dataclass(frozen=True)
class Listing:
    """What a folder holds.

    Attributes:
        names: relative paths of the images, ordered by their hash.
        left_out: the other files.
    """

    names: Sequence[str]
    left_out: LeftOut


def list_images(folder: Path, name: str = "data_dir") -> Listing:
    """All visible images below a folder, behind links too, but in each folder once; messages call
    it `name`.

    Raises:
        UsageError: there is no such folder, a part of it cannot be read, or it has no images.
    """
    if not folder.exists():
        raise UsageError(f"{name}={folder} does not exist: expected a folder of images")
    if not folder.is_dir():
        raise UsageError(f"{name}={folder} is a file: expected a folder of images")
    names, others = [], []
    for file, reason in _files(folder):
        if reason is None:
            names.append(file)
        else:
            others.append((reason, _ending(file) if reason == OTHER else file))
    left_out = tally(others)
    if not names:
        raise UsageError(
            f"{name}={folder} has no images: expected files as .png, .jpg, .tif or .webp; "
            f"{_counted(0, left_out)}"
        )
    return Listing(
        sorted(names, key=lambda file: hashlib.sha256(os.fsencode(file)).digest()), left_out
    )


def _files(folder: Path) -> Iterator[tuple[str, str | None]]:
    """The relative path of each file below a folder, and why it is left out; None for an image.

    A folder that can be reached by several ways is entered by the one without links, else by the
    first link: entered twice, its images could be in two splits. So a loop has an end as well; a
    link to a folder above is one.
    """
    entered = {_identity(above) for above in folder.parents}
    waiting, links = [""], list[str]()
    while waiting or links:
        place = waiting.pop() if waiting else links.pop(0)
        try:
            identity = _identity(folder / place)
            if identity in entered:
                yield place, AGAIN
                continue
            entered.add(identity)
            with os.scandir(folder / place) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            raise UsageError(f"folder {folder / place} cannot be read: {error.strerror}") from None
        for entry in found:
            name, link = os.path.join(place, entry.name), entry.is_symlink()
            if entry.name.startswith("."):
                yield name, HIDDEN
            elif os.path.isdir(entry.path) if link else entry.is_dir():
                (links if link else waiting).append(name)
            elif link and not os.path.exists(entry.path):
                # An image, by its name, that is lost: its decoding tells.
                yield name, _why_no_image(name)
            elif os.path.isfile(entry.path) if link else entry.is_file():
                yield name, _why_no_image(name)
            else:
                yield name, ODD


def _identity(folder: Path) -> tuple[int, int]:
    state = folder.stat()
    return state.st_dev, state.st_ino


def _why_no_image(name: str) -> str | None:
    return None if _ending(name) in extensions() else OTHER


def _ending(name: str) -> str:
    return os.path.splitext(name)[1].lower() or "no ending"


def tally(files: Iterable[tuple[str, str]]) -> LeftOut:
    """Counts pairs of a reason and an example of it; JSON-able."""
    counts: dict[str, int] = {}
    examples: dict[str, dict[str, None]] = {}
    for reason, example in files:
        counts[reason] = counts.get(reason, 0) + 1
        examples.setdefault(reason, {})[example] = None
    return {
        reason: (
            count,
            [*list(examples[reason])[:NAMED], *["..."] * (len(examples[reason]) > NAMED)],
        )
        for reason, count in counts.items()
    }


def account(
    name: str,
    source: Path | str,
    used: int,
    left_out: LeftOut,
    *,
    what: str = "files",
    expected: Collection[str] = (HIDDEN,),
) -> dict[str, Any]:
    """Says in one line what became of all of a source; returns it for the provenance.

    Args:
        name: of the data set.
        source: a folder, an archive or what it is called.
        used: number of images.
        left_out: the rest.
        what: of which there were so many.
        expected: the reasons to leave some out that are no cause for a warning.
    """
    log = _LOG.info if set(left_out) <= set(expected) else absl_logging.warning
    log("%s: %s: %s", name, source, _counted(used, left_out, what))
    counts = {reason: count for reason, (count, _) in left_out.items()}
    return {"found": used + sum(counts.values()), "used": used, "left_out": counts}


def _counted(used: int, left_out: LeftOut, what: str = "files") -> str:
    lost = sum(count for count, _ in left_out.values())
    reasons = [
        f"{n} {reason}" + (f" ({', '.join(some)})" if some else "")
        for reason, (n, some) in left_out.items()
    ]
    listed = f", {lost} left out: {'; '.join(reasons)}" if lost else ""
    return f"{used + lost} {what} found, {used} images used{listed}"
