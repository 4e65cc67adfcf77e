"""Of what a number depends on."""

from __future__ import annotations

import contextlib
from importlib import metadata

_PACKAGES = ("tensorflow", "keras", "tensorflow-probability", "tensorflow-datasets", "numpy")


def versions() -> dict[str, str]:
    """Versions of the zoo and of the packages that a number depends on."""
    found = {}
    for name in ("distribution-matching-zoo", *_PACKAGES):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found
