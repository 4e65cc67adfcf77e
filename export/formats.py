"""What an export may hold beside the SavedModel, and which packages that takes."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from zoo.errors import UsageError, expected_of
from zoo.export.web import RUNTIME_FOLDER, require_runtime

SAVED_MODEL, WEB = "saved_model", "web"
BUNDLED = ("onnx", "tflite")  # of the portable bundle
# Each format with what it needs beyond the zoo's own dependencies.
_CONVERTER = ("onnx", "tf2onnx")
PACKAGES = {SAVED_MODEL: (), "onnx": _CONVERTER, "tflite": (), WEB: _CONVERTER}
EXTRA = "portable"  # of setup.py


def require_formats(formats: Sequence[str], web_runtime: str | Path = RUNTIME_FOLDER) -> None:
    """Raises `UsageError` for formats that are unknown, alone, or lack what they need: packages,
    and the page what it runs by, in the folder `web_runtime`."""
    for name in formats:
        if name not in PACKAGES:
            raise UsageError(f"format={name!r} is not known: {expected_of(name, PACKAGES)}")
        missing = [package for package in PACKAGES[name] if find_spec(package) is None]
        if missing:
            raise UsageError(
                f"format={name!r} needs the package {missing[0]}: install the extra, as in "
                f"pip install 'distribution-matching-zoo[{EXTRA}]'"
            )
    if WEB in formats:
        require_runtime(web_runtime)
    if SAVED_MODEL not in formats:
        raise UsageError(
            f"format={','.join(formats)!r} is not accepted: expected {SAVED_MODEL} among them, "
            "whose folder holds the others"
        )
