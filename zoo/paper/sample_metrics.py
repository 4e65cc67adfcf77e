"""The metrics of samples by which experiments compare models (Figures 6, 8, 9, 16 and 17)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zoo.paper.lab import Lab
from zoo.paper.outcome import MARGIN, Claim, column, compare, mean_and_error
from zoo.run import Run

# Whether more is better.
_MORE_IS_BETTER = {
    "wasserstein_critic": False,
    "ms_ssim_diversity": True,
    "inception_score": True,
}


def sample_metrics(lab: Lab) -> list[str]:
    """Those that apply to the data set: the Inception Score needs classes."""
    return [m for m in _MORE_IS_BETTER if m != "inception_score" or lab.has_classes]


def measure_samples(lab: Lab, run: Run) -> dict[str, float]:
    """What these metrics record of a run's samples and of the data, by record."""
    return lab.measure(run, *sample_metrics(lab), feature_extractor=lab.classifier())


def does_better(
    statement: str,
    metric: str,
    rows: Sequence[Mapping[str, Any]],
    worse: Mapping[str, Any],
    better: Mapping[str, Any],
    unit: str,
) -> Claim:
    """The claim that the rows `better` have better values of `metric` than the rows `worse`, in the
    mean; both tell rows by columns and their values."""
    sides = [mean_and_error(column(rows, metric, **where)) for where in (worse, better)]
    lower, higher = sides if _MORE_IS_BETTER[metric] else sides[::-1]
    # Of images of a kind all diversities are much alike: what counts is a tenth of the similarity.
    least = MARGIN * (1 - lower.value) if metric == "ms_ssim_diversity" else None
    return compare(f"{statement} by {metric}", lower, higher, unit, least)
