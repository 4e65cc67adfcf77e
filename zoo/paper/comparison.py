"""All models over a sweep of learning rates, by metrics of their samples: Figures 8 and 9."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zoo.figures import panels
from zoo.models import MODELS
from zoo.paper.grids import table_3
from zoo.paper.lab import Lab
from zoo.paper.outcome import Claim, Outcome, column, compare, mean_and_error

# Metric, and whether more is better.
METRICS = {"wasserstein_critic": False, "ms_ssim_diversity": True, "inception_score": True}
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
    """Every run of the sweep counts, and its spread is shown, not only the best (Figures 8, 9)."""
    rows: Rows = []
    pictures, claims = {}, []
    for dataset in lab.scale.datasets:
        classifier = lab.classifier(dataset)
        metrics = [m for m in METRICS if classifier or m != "inception_score"]
        for model in MODELS:
            for rate in lab.scale.learning_rates or map(_as_text, table_3(model)):
                run = lab.train(model, dataset, learning_rate=rate)
                row = {"dataset": dataset, "model": model, "learning_rate": rate}
                for metric in metrics:
                    records = lab.measure(run, metric, classifier=classifier)
                    row |= {name: record["value"] for name, record in records.items()}
                rows.append(row)
        pictures[f"{dataset}-sweep"] = (
            f"{dataset}: one point per run of the sweep. Lower is better for the critic's "
            "distance, higher for the others; the data's own score in red.",
            _boxes([row for row in rows if row["dataset"] == dataset], metrics),
        )
        claims += _claims(rows, dataset, metrics)
    return Outcome(claims, {"sweep": rows}, pictures)


def _as_text(rates: Mapping[str, float]) -> str:
    """Rates by player as `zoo.config.parse_learning_rate` reads them."""
    return ",".join(f"{player}={rate:g}" for player, rate in rates.items())


def _claims(rows: Rows, dataset: str, metrics: Sequence[str]) -> list[Claim]:
    claims = []
    for worse, better, where in BETTER:
        for metric in metrics:
            sides = [
                mean_and_error(column(rows, metric, dataset=dataset, model=m))
                for m in (worse, better)
            ]
            statement = f"{dataset}: {better} does better than {worse} by {metric} ({where})"
            sides = sides if METRICS[metric] else sides[::-1]
            claims.append(compare(statement, *sides, unit="(mean over the sweep)"))
    return claims


def _boxes(rows: Rows, metrics: Sequence[str]) -> Any:
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
