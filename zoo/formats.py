"""The version of what the zoo writes, and what older versions lack.

`config.json`, `evaluation.json`, model cards and manifests carry `format_version`. Format 1, of
before they did, is still read: its checkpoints by `zoo.format_1`, its settings here.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from zoo.errors import UsageError
from zoo.networks import family_name
from zoo.registry import MODELS

FORMAT_VERSION = 2
OWN_DATA = "data"  # the folder of a run that has its images itself


def check_format(content: dict[str, Any], file: Path) -> int:
    """The format of a JSON object that the zoo wrote.

    Raises:
        UsageError: it is that of a newer zoo, or no number.
    """
    version = content.get("format_version", 1)
    if type(version) is not int or version < 1:
        raise UsageError(f"{file}: format_version={version!r}: expected a whole number from 1")
    if version > FORMAT_VERSION:
        raise UsageError(
            f"{file} is of format {version}, which a newer zoo wrote: this one reads up to "
            f"{FORMAT_VERSION}"
        )
    return version


def current_config(content: dict[str, Any], file: Path) -> dict[str, Any]:
    """The content of a `config.json` as this version would have written it.

    Raises:
        UsageError: it is of a newer version, or no network fits its images.
    """
    if check_format(content, file) == 1:
        model, shape = dict(content["model"]), content["image_shape"]
        if model.get("model") in MODELS and isinstance(shape, list) and len(shape) == 3:
            model.setdefault("network", family_name(tuple(shape)))
        content = {**content, "model": model}
    if "training" in content and "schedule" not in content["training"]:
        content = _with_schedule(content)
    return content


def _with_schedule(content: dict[str, Any]) -> dict[str, Any]:
    """Of before there were several: the classifier's rate halved, the others' was constant."""
    model, training = dict(content["model"]), {**content["training"], "schedule": "constant"}
    halving_steps = model.pop("halving_steps", None)
    if halving_steps is not None:
        training |= {"schedule": "exponential", "decay_steps": halving_steps, "decay_rate": 0.5}
    return {**content, "model": model, "training": training}


def with_own_paths(sections: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Names what lies in the run folder from there, so that the whole may be moved."""
    data = dict(sections["data"])
    own = os.path.realpath(folder / OWN_DATA)
    if data["data_dir"] == own:
        data["data_dir"] = OWN_DATA
    return {**sections, "data": data}


def with_whole_paths(content: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The inverse: other paths are whole."""
    data = dict(content["data"])
    if data.get("data_dir") == OWN_DATA and data.get("dataset") == "array":
        data["data_dir"] = os.path.realpath(folder / OWN_DATA)
    return {**content, "data": data}
