"""All models over a sweep of learning rates, by metrics of their samples: Figures 8 and 9."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from zoo.figures import panels
from zoo.paper.grids import paper_models, table_3
from zoo.paper.lab import Lab
from zoo.paper.outcome import Outcome, column
from zoo.paper.sample_metrics import does_better, measure_samples, sample_metrics

# What the paper finds: the second does better than the first [P], and where it finds so.
BETTER = (
    ("vgh", "vgh_plus_plus", "paper"),
    ("vae", "vgh_plus_plus", "paper, CIFAR-10"),
    ("aae", "vgh_plus_plus", "paper, CIFAR-10"),
    ("vgh_plus_plus", "dcgan", "paper, CIFAR-10"),
    ("vgh_plus_plus", "wgan_gp", "paper, CIFAR-10"),
)

Rows = list[dict[str, Any]]


def comparison(lab: Lab) -> Outcome:
    """Every run of the sweep counts, and its spread is shown, not only the best (Figures 8, 9);
    at a scale without a sweep, every seed."""
    rows: Rows = []
    pictures, claims = {}, []
    for dataset in lab.scale.datasets:
        metrics = sample_metrics(lab, dataset)
        for model in paper_models():
            for repeat in repeats(lab, model):
                run = lab.train(model, dataset, **repeat)
                row = {"dataset": dataset, "model": model, **repeat}
                rows.append(row | measure_samples(lab, run))
        pictures[f"{dataset}-sweep"] = (
            f"{dataset}: one point per run. Lower is better for the critic's "
            "distance, higher for the others; the data's own score in red.",
            _boxes([row for row in rows if row["dataset"] == dataset], metrics),
        )
        claims += [
            does_better(
                f"{dataset}: {better} does better than {worse} ({where})",
                metric,
                rows,
                {"dataset": dataset, "model": worse},
                {"dataset": dataset, "model": better},
                "(mean over seeds)" if lab.scale.learning_rates == () else "(mean over the sweep)",
            )
            for worse, better, where in BETTER
            for metric in metrics
        ]
    return Outcome(claims, {"sweep": rows}, pictures)


def repeats(lab: Lab, model: str) -> list[dict[str, Any]]:
    """What tells the runs of one model from each other."""
    rates = lab.scale.learning_rates
    if rates == ():
        return [{"seed": seed} for seed in lab.scale.seeds]
    return [{"learning_rate": rate} for rate in (table_3(model) if rates is None else rates)]


def _boxes(rows: Rows, metrics: Sequence[str]) -> Figure:
    models = list(dict.fromkeys(row["model"] for row in rows))
    figure, axes = panels(len(metrics), columns=1, size=(8.0, 3.0))
    for axis, metric in zip(axes, metrics, strict=True):
        values = [column(rows, metric, model=model) for model in models]
        axis.boxplot(values, tick_labels=models, showfliers=False)
        for i, points in enumerate(values, start=1):
            axis.plot([i] * len(points), points, ".", color="#4878a8")
        data = [row[f"{metric}_data"] for row in rows if f"{metric}_data" in row]
        if data:
            axis.axhline(data[0], color="#c44e52", linewidth=1)
        axis.set_ylabel(metric)
    return figure
