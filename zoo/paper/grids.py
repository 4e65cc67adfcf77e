"""The paper's grids (Rosca et al. 2018, Table 3 and section 6), one file each in `sweeps/`."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.files import read_json
from zoo.registry import MODELS
from zoo.sweep import RATE, as_settings

_FOLDER = Path(__file__).parent / "sweeps"
SWEEPS = tuple(sorted(file.stem for file in _FOLDER.glob("*.json")))


def read(name: str) -> Mapping[str, Any]:
    """One of `SWEEPS`: what it is `about`, its `models`, and its `grid`, values by axis."""
    return read_json(_FOLDER / f"{name}.json")


def paper_models() -> list[str]:
    """The models of the zoo that are the paper's: those that Table 3 has rates for."""
    return [model for model in MODELS if any(model in table["models"] for table in _tables_3())]


def table_3(model: str) -> list[str]:
    """The learning rates that Table 3 has for a model, as `--learning_rate` takes them: the
    structure is the paper's, the values are chosen (paper.md section 4)."""
    (grid,) = (table["grid"] for table in _tables_3() if model in table["models"])
    points = (dict(zip(grid, rates, strict=True)) for rates in itertools.product(*grid.values()))
    return [as_settings(point, {})[RATE] for point in points]


def _tables_3() -> list[Mapping[str, Any]]:
    return [read(name) for name in SWEEPS if name.startswith("table_3")]
