"""What an export may hold beside the SavedModel, and which packages that takes."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from zoo.errors import UsageError, expected_of

SAVED_MODEL = "saved_model"
# Each format with what it needs beyond the zoo's own dependencies.
PACKAGES = {SAVED_MODEL: (), "onnx": ("onnx", "tf2onnx"), "tflite": ()}
EXTRA = "portable"  # of setup.py


def require_formats(formats: Sequence[str]) -> None:
    """Raises `UsageError` for formats that are unknown, alone, or lack their packages."""
    for name in formats:
        if name not in PACKAGES:
            raise UsageError(f"format={name!r} is not known: {expected_of(name, PACKAGES)}")
        missing = [package for package in PACKAGES[name] if find_spec(package) is None]
        if missing:
            raise UsageError(
                f"format={name!r} needs the package {missing[0]}: install the extra, as in "
                f"pip install 'distribution-matching-zoo[{EXTRA}]'"
            )
    if SAVED_MODEL not in formats:
        raise UsageError(
            f"format={','.join(formats)!r} is not accepted: expected {SAVED_MODEL} among them, "
            "whose folder holds the others"
        )
