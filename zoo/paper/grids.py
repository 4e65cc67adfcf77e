"""The paper's grids (Rosca et al. 2018, Table 3 and section 6), one file each in `sweeps/`."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.files import read_json

_FOLDER = Path(__file__).parent / "sweeps"
SWEEPS = tuple(sorted(file.stem for file in _FOLDER.glob("*.json")))


def grid(name: str) -> Mapping[str, Sequence[Any]]:
    """The axes of a grid of `SWEEPS`: settings and their values. `learning_rate.encoder+decoder`
    stands for one rate of both players."""
    return read_json(_FOLDER / f"{name}.json")["grid"]


def models(name: str) -> Sequence[str]:
    """The models that a grid of `SWEEPS` is for."""
    return read_json(_FOLDER / f"{name}.json")["models"]


def table_3(model: str) -> list[dict[str, float]]:
    """The learning rates that Table 3 has for a model, by player: the structure is the paper's, the
    values are chosen (paper.md section 4)."""
    (name,) = (n for n in SWEEPS if n.startswith("table_3") and model in models(n))
    axes = grid(name)
    players = [axis.partition(".")[2].split("+") for axis in axes]
    return [
        {player: rate for names, rate in zip(players, rates, strict=True) for player in names}
        for rates in itertools.product(*axes.values())
    ]
