"""Drawings that several experiments share, each on a matplotlib axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def bars(
    axis: Any,
    values: Mapping[str, tuple[float, float | None]],
    floors: Mapping[str, float] | None = None,
    unit: str = "nats",
) -> None:
    """One bar per name with its standard error, and its floor as a line across it."""
    for i, (name, (value, error)) in enumerate(values.items()):
        axis.bar(i, value, yerr=error, width=0.6, capsize=4, color="#4878a8")
        if floors and name in floors:
            label = "floor" if i == 0 else None
            axis.hlines(floors[name], i - 0.4, i + 0.4, colors="#c44e52", label=label)
    axis.set_xticks(range(len(values)), list(values))
    axis.set_ylabel(unit)
    if floors:
        axis.legend()


def curves(axis: Any, lines: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> None:
    """One line of (x, y) per name."""
    for name, (x, y) in lines.items():
        axis.plot(x, y, label=name, linewidth=1.2)
    axis.legend(fontsize=8)
    axis.grid(alpha=0.3)
