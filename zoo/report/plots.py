"""Curves as SVG that take the colours of the page around them, in light and in dark."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping, Sequence
from typing import Any

import markupsafe
import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from zoo.run import VALIDATION

MOST_PANELS = 60  # chosen: no model of ours logs half as many
_LONGEST_NAME = 40  # characters of a title; chosen
_SIZE = (3.6, 2.3)  # inches; chosen: it is shown at about 350 pixels
_TICKS = 5  # of the steps, at most; chosen
_INK = "#010203"  # stands for the page's own colour of text
# Readable on white and on black; in this order neighbours differ for the colour-blind too.
COLOURS = ("#2f83bd", "#e0862a", "#3f9f5f", "#c9558f", "#8a76cf", "#9b7b3c", "#3aa6a6", "#d0604f")
DASHES = ("solid", "dashed", "dotted")
_NATS = (
    *("elbo", "elbo_ratio_estimate", "bound_ratio_estimate", "iwae"),
    *("log_likelihood", "code_log_likelihood", "kl", "kl_data", "kl_samples", "kl_ratio_estimate"),
    *("marginal_kl_ratio_estimate", "total_correlation_ratio_estimate"),
)
_UNITS = {**dict.fromkeys(_NATS, "nats per image"), "steps_per_second": "steps per second"}
_STYLE: dict[Any, Any] = {
    **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), _INK),
    **dict.fromkeys(("axes.edgecolor", "grid.color"), _INK),
    **dict.fromkeys(("xtick.labelsize", "ytick.labelsize", "axes.labelsize"), 8),
    "svg.fonttype": "none",
    "axes.formatter.useoffset": False,
}


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of every panel.

    Attributes:
        name: for the key.
        values: (step, value) pairs by the panel's name.
        number: of its colour and dash.
    """

    name: str
    values: Mapping[str, Sequence[tuple[float, float]]]
    number: int

    @property
    def colour(self) -> str:
        """As CSS and matplotlib call it."""
        return COLOURS[self.number % len(COLOURS)]

    @property
    def dash(self) -> str:
        """Likewise: a style of lines, which tells those of one colour apart."""
        return DASHES[self.number // len(COLOURS) % len(DASHES)]


@dataclasses.dataclass(frozen=True)
class Curves:
    """Panels, and the lines that they have in common.

    Attributes:
        key: of those that have a point at all.
        panels: an `<svg>` each.
        left_out: names for which there was no room.
    """

    key: Sequence[Line]
    panels: Sequence[markupsafe.Markup]
    left_out: Sequence[str] = ()


def training_curves(lines: Sequence[Mapping[str, Any]], first: Sequence[str]) -> Curves:
    """A panel for each value that a run logged, with that of the validation split beside it.

    Args:
        lines: of `metrics.jsonl`.
        first: names that lead: the model's terms.
    """
    names = _names(lines, first)
    training = {name: _points(lines, name) for name in names}
    validation = {name: _points(lines, VALIDATION + name) for name in names}
    return _curves(names, [Line("training", training, 0), Line("validation", validation, 1)])


def overlaid_curves(
    runs: Mapping[str, Sequence[Mapping[str, Any]]], first: Sequence[str]
) -> Curves:
    """A panel for each value that several runs logged, with a line for each run.

    Args:
        runs: lines of `metrics.jsonl` by the name of the run.
        first: names that lead.
    """
    counts: dict[str, int] = {}
    for lines in runs.values():
        for name in _names(lines, first):
            counts[name] = counts.get(name, 0) + 1
    names = [name for name, count in counts.items() if count > 1]
    drawn = [
        Line(run, {name: _points(lines, name) for name in names}, number)
        for number, (run, lines) in enumerate(runs.items())
    ]
    return _curves(names, drawn)


def _names(lines: Sequence[Mapping[str, Any]], first: Sequence[str]) -> list[str]:
    known = dict.fromkeys(name for line in lines for name in line if name != "step")
    names = [name for name in known if name.removeprefix(VALIDATION) not in known.keys() - {name}]
    return sorted(names, key=lambda name: first.index(name) if name in first else len(first))


def _points(lines: Sequence[Mapping[str, Any]], name: str) -> list[tuple[float, float]]:
    return [(line["step"], line[name]) for line in lines if name in line]


def _curves(names: Sequence[str], lines: Sequence[Line]) -> Curves:
    shown = [name for name in names if any(len(line.values[name]) > 1 for line in lines)]
    drawn = shown[:MOST_PANELS]
    key = [line for line in lines if any(line.values[name] for name in drawn)]
    return Curves(key, [_panel(name, key) for name in drawn], shown[MOST_PANELS:])


def _panel(name: str, lines: Sequence[Line]) -> markupsafe.Markup:
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=_SIZE, layout="constrained", facecolor="none")
        axis = figure.subplots()
        axis.set_facecolor("none")
        for line in lines:
            if points := line.values[name]:
                marker = "o" if len(points) == 1 else None
                style: dict[str, Any] = {
                    "color": line.colour,
                    "linestyle": line.dash,
                    "marker": marker,
                }
                axis.plot(*zip(*points, strict=True), linewidth=1.3, **style)
        axis.set_title(name[:_LONGEST_NAME], fontsize=9.5, parse_math=False)
        axis.set_xlabel("step")
        axis.set_ylabel(_UNITS.get(name, ""))
        axis.xaxis.set_major_locator(MaxNLocator(_TICKS, integer=True))
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.15)
        return _svg(figure)


def _svg(figure: Figure) -> markupsafe.Markup:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return markupsafe.Markup(text[text.index("<svg") :].replace(_INK, "currentColor"))
