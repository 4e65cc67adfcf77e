"""Figures of KL(q(z)||p(z)): estimates beside Algorithm 2 and its bounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from matplotlib.figure import Figure

from zoo.evaluation.density_model import DensityModelKL
from zoo.evaluation.density_ratio import DensityRatioKL
from zoo.evaluation.marginal_kl import MarginalKL
from zoo.figures import panels

_VALUE, _REFERENCE, _BOUND = "tab:blue", "tab:orange", "0.4"


def curve(result: DensityRatioKL, reference: MarginalKL | None) -> Figure:
    """The estimates of Algorithm 3 over the updates of its critic."""
    figure, (axis,) = panels(1, 1, (6, 3.4))
    points = (*result.curve, result)
    steps = [point.steps for point in points]
    axis.plot(steps, [p.value for p in points], color=_VALUE, label="density ratio: mean logit")
    axis.plot(
        steps,
        [p.donsker_varadhan for p in points],
        color="tab:green",
        label="Donsker-Varadhan",
    )
    _levels(axis.axhline, reference)
    axis.set_xlabel("updates of the classifier", fontsize=9)
    axis.set_ylabel("nats", fontsize=9)
    figure.legend(loc="outside upper center", ncols=3, fontsize=8)
    return figure


def bars(values: Mapping[str, DensityModelKL], reference: MarginalKL | None) -> Figure:
    """The lower bounds of Algorithm 4."""
    figure, (axis,) = panels(1, 1, (6, 3.4))
    for name, result in values.items():
        bar = axis.barh(name, result.value, xerr=result.standard_error, color=_VALUE)
        axis.bar_label(bar, fmt="%.4g", padding=4, fontsize=8)
    axis.margins(x=0.12)
    axis.invert_yaxis()
    _levels(axis.axvline, reference)
    axis.set_xlabel("nats", fontsize=9)
    if reference is not None:
        figure.legend(loc="outside upper center", ncols=3, fontsize=8)
    return figure


def _levels(line: Callable[..., Any], reference: MarginalKL | None) -> None:
    if reference is None:
        return
    line(reference.value, color=_REFERENCE, label="Monte Carlo (Algorithm 2)")
    line(reference.average_kl, color=_BOUND, linestyle="--", label="average KL")
    line(reference.floor, color=_BOUND, linestyle=":", label="floor: average KL - log N")
