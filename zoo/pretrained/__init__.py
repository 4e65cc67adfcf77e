"""Trained models: those that come with the zoo, and folders of the same form of a user's own.

A pretrained model is a run folder without what trained it, so that all that reads runs reads it:

    config.json          as of a run
    checkpoints/         one, of the networks' weights alone
    metrics.jsonl        the log of its training
    evaluation.json      what was measured of it
    model_card.json      what it is, what it was trained on and how, and its figures
    samples.png          the samples of seed 0
    manifest.json        the SHA-256 of all these

Those of the zoo lie below this package, as `color_mnist_mini/vae`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import UsageError, expected_of
from zoo.files import read_json, usable_path
from zoo.formats import check_format
from zoo.manifest import check_manifest
from zoo.run import CARD, Run

if TYPE_CHECKING:
    from zoo.models.base import PlayerModel

MANIFEST = "manifest.json"
_SHIPPED = Path(__file__).parent


def names() -> list[str]:
    """Of the models that come with the zoo."""
    return sorted(f.parent.relative_to(_SHIPPED).as_posix() for f in _SHIPPED.glob(f"*/*/{CARD}"))


def folder_of(name: str | Path) -> Path:
    """The folder of a model that comes with the zoo, or one that `save_pretrained` wrote.

    Raises:
        UsageError: there is none of that name.
    """
    if str(name) in names():
        return _SHIPPED / name
    folder = usable_path(name, "pretrained")
    if (folder / CARD).is_file():
        return folder
    if os.path.exists(folder):
        made = "; zoo.save_pretrained(run, FOLDER) makes one" if Run.exists(folder) else ""
        raise UsageError(f"pretrained={str(name)!r} is no pretrained model: it has no {CARD}{made}")
    raise UsageError(f"pretrained={str(name)!r} is not accepted: {expected_of(str(name), names())}")


def open_pretrained(name: str | Path) -> Run:
    """The run that a pretrained model is; its files are what its manifest says.

    Args:
        name: one of `names()`, or a folder that `save_pretrained` wrote.

    Raises:
        UsageError: there is none of that name, or a file is damaged or missing.
    """
    folder = folder_of(name)
    if not check_manifest(folder, MANIFEST):
        raise UsageError(f"{folder} is damaged: it has no {MANIFEST}")
    return Run.open(folder)


def as_run(source: Run | str | Path) -> Run:
    """A run itself, that of a folder, or where there is no such path the pretrained one of a name.

    Raises:
        UsageError: there is none, or it is pretrained and damaged.
    """
    if isinstance(source, Run):
        return source
    place = usable_path(source, "run_dir")
    named = str(source) in names() and not place.exists()
    return open_pretrained(source) if named or (place / MANIFEST).is_file() else Run.open(source)


def from_pretrained(name: str | Path) -> PlayerModel:
    """A trained model: to sample from, to measure, or to compile and train further.

    Args:
        name: one of `zoo.pretrained.names()`, as "color_mnist_mini/vae", or a folder that
            `save_pretrained` wrote.

    Raises:
        UsageError: see `open_pretrained`.
    """
    return open_pretrained(name).model


def card_of(name: str | Path) -> dict[str, Any]:
    """The card of a pretrained model.

    Raises:
        UsageError: there is no such model, or its card is none.
    """
    file = folder_of(name) / CARD
    card = read_json(file)
    if not isinstance(card, dict) or not isinstance(card.get("name"), str):
        raise UsageError(f"{file} is not the card of a pretrained model: expected a name")
    check_format(card, file)
    return card
