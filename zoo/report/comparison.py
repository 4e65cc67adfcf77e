"""The page of all runs below a folder, beside each other."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import logging
from tqdm import tqdm

from zoo.errors import UsageError
from zoo.evaluation.subject.subject import Subject
from zoo.files import user_path
from zoo.models import model_class
from zoo.records import Entry, population_interval
from zoo.registry import INSTRUMENTS
from zoo.report import pictures
from zoo.report.drawings import SIDE_BY_SIDE, samples
from zoo.report.metrics import DATA, GROUPS, OTHER, Reference, direction_of, group_of, reference
from zoo.report.page import write_page
from zoo.report.pictures import Shown
from zoo.report.plots import overlaid_curves
from zoo.run import Run

# Standard errors of a difference within which two values are a tie; chosen.
_TIE = 2.0
# What has to be equal for two records to be of one quantity.
_ALIKE = ("metric", "split", "n", "feature_extractor", "dataset", "data_fingerprint")


@dataclasses.dataclass(frozen=True)
class Cell:
    """A value of one run.

    Attributes:
        record: it.
        mark: "best", "tie" with the best within the error, or "".
        beside: further words, of the population's interval.
    """

    record: Entry
    mark: str
    beside: str


@dataclasses.dataclass(frozen=True)
class Compared:
    """A quantity that all runs have.

    Attributes:
        name: of the metric.
        group: title of its group.
        direction: as of `zoo.report.metrics.Row`.
        definition: of the first run.
        reference: the data's own score or the floor, as the first run has it; None where there is
            none.
        cells: one for each run.
    """

    name: str
    group: str
    direction: str
    definition: str
    reference: Reference | None
    cells: Sequence[Cell]


def write_overview(folder: str | Path, drawing: bool = True) -> Path:
    """Writes `report.html` about all runs below a folder and returns its path.

    It shows the settings in which the runs differ, the metrics that all of them have, their curves
    in common panels, and samples of each under one noise. What is no run, or a damaged one, is
    named in a warning and on the page.

    Args:
        folder: the runs lie in it, at any depth.
        drawing: whether it draws samples; else no weights are read, and the newest samples of each
            training are shown.

    Raises:
        UsageError: there is no run.
    """
    folder = user_path(folder)
    found, left_out = [], []
    for file in sorted(folder.rglob("config.json")):
        try:
            run = Run.open(file.parent)
            found.append((run, run.history(), run.evaluation()["records"]))
        except (UsageError, OSError) as error:
            logging.warning("left out of the overview: %s", error)
            left_out.append((str(file.parent.relative_to(folder)), str(error)))
    if not found:
        reason = "; ".join(error for _, error in left_out) or "none has a config.json"
        raise UsageError(f"{folder} has no run folder below it: {reason}")
    names = [str(run.path.relative_to(folder)) for run, _, _ in found]
    histories = {name: lines for name, (_, lines, _) in zip(names, found, strict=True)}
    records = [records for _, _, records in found]
    compared = compare(records)
    terms = dict.fromkeys(
        t for run, _, _ in found for t in model_class(run.config.model.model).terms
    )
    return write_page(
        folder / "report.html",
        "comparison.html",
        title=f"{len(found)} run{'s' if len(found) > 1 else ''}",
        subtitle=str(folder),
        names=names,
        settings=differing(
            [
                {"steps done": lines[-1]["step"] if lines else 0, **run.config.flat()}
                for run, lines, _ in found
            ]
        ),
        groups=[(g, rows) for g in (*GROUPS.values(), OTHER) if (rows := _in(g, compared))],
        partial=partly_measured(records, compared),
        histories=overlaid_curves(histories, list(terms)),
        samples=[
            (name, *_samples(run, drawing))
            for name, (run, _, _) in zip(names, tqdm(found, "samples", delay=2), strict=True)
        ],
        count=SIDE_BY_SIDE,
        scatter=json.dumps(_points(names, compared)).replace("<", "\\u003c"),
        scattered=len(names) > 1 and len(compared) > 1,
        left_out=left_out,
    )


def differing(settings: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[Any]]]:
    """The settings in which runs differ, with the value of each run; None where it has none."""
    names = dict.fromkeys(name for one in settings for name in one)
    rows = [(name, [one.get(name) for one in settings]) for name in names]
    return [(name, values) for name, values in rows if any(v != values[0] for v in values)]


def compare(runs: Sequence[Sequence[Entry]]) -> list[Compared]:
    """The quantities that all runs have: measured on the same split of the same data, from as many
    images, by the same features; the data's own scores stand beside them."""
    by_key = [{json.dumps([r.get(k) for k in _ALIKE]): r for r in records} for records in runs]
    compared = []
    for key, first in by_key[0].items():
        if not first["metric"].endswith(DATA) and all(key in records for records in by_key):
            entries = [records[key] for records in by_key]
            direction = direction_of(first)
            marks = marked(entries, direction)
            cells = [
                Cell(entry, mark, population_interval(entry, records))
                for entry, mark, records in zip(entries, marks, runs, strict=True)
            ]
            name, definition = first["metric"], first["definition"]
            group, beside = group_of(first), reference(first, runs[0])
            compared.append(Compared(name, group, direction, definition, beside, cells))
    return compared


def marked(entries: Sequence[Entry], direction: str) -> list[str]:
    """For each of several records of one quantity "best", "tie" or ""; see `Cell`. Nothing is best
    where there is one alone, or no better direction, or all are equal."""
    sign = {"up": 1, "down": -1, "": 0}[direction]
    values = [sign * entry["value"] for entry in entries]
    if len(set(values)) < 2:
        return [""] * len(entries)
    best = max(range(len(values)), key=values.__getitem__)
    errors = [entry["standard_error"] or 0.0 for entry in entries]
    within = [
        values[best] - value <= _TIE * math.hypot(error, errors[best])
        for value, error in zip(values, errors, strict=True)
    ]
    return ["best" if i == best else "tie" if tied else "" for i, tied in enumerate(within)]


def partly_measured(runs: Sequence[Sequence[Entry]], compared: Sequence[Compared]) -> list[str]:
    """The metrics that are not compared, because some run lacks them or measured them otherwise."""
    names = dict.fromkeys(r["metric"] for one in runs for r in one)
    shown = {row.name for row in compared}
    return [name for name in names if name not in shown and not name.endswith(DATA)]


def _in(group: str, compared: Sequence[Compared]) -> list[Compared]:
    return [row for row in compared if row.group == group]


def _samples(run: Run, drawing: bool) -> tuple[Shown | None, str]:
    """Samples under the common seed; else the newest that the training drew, and why."""
    if run.config.model.model in INSTRUMENTS:
        return None, "it draws none"
    run = Run.open(run.path)  # so that no model stays in memory once it has drawn
    why = "none were drawn"
    if drawing:
        try:
            return samples(Subject.of_run(run), SIDE_BY_SIDE), ""
        except UsageError as error:
            why = str(error)
    for step, file in list(pictures.by_step(run.path, "samples").items())[-1:]:
        picture = pictures.shown_file(run.path, file, f"of the training, step {step}")
        return picture, f"not under the common seed: {why}"
    return None, why


def _points(names: Sequence[str], compared: Sequence[Compared]) -> dict[str, Any]:
    """What the scatter plot draws."""
    return {
        "runs": names,
        "metrics": [
            {
                "name": row.name,
                "direction": row.direction,
                "values": [cell.record["value"] for cell in row.cells],
                "errors": [cell.record["standard_error"] for cell in row.cells],
            }
            for row in compared
        ],
    }
