"""All models over a sweep of learning rates, by metrics of their samples: Figures 8 and 9."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from zoo.figures import panels
from zoo.paper.grids import paper_models, table_3
from zoo.paper.lab import Lab
from zoo.paper.outcome import Outcome, Rows, column
from zoo.paper.sample_metrics import does_better, measure_samples, sample_metrics
from zoo.paper.scales import Scale

# What the paper finds: the second does better than the first [P], and where it finds so.
BETTER = (
    ("vgh", "vgh_plus_plus", "paper"),
    ("vae", "vgh_plus_plus", "paper, CIFAR-10"),
    ("aae", "vgh_plus_plus", "paper, CIFAR-10"),
    ("vgh_plus_plus", "dcgan", "paper, CIFAR-10"),
    ("vgh_plus_plus", "wgan_gp", "paper, CIFAR-10"),
)


def comparison(lab: Lab) -> Outcome:
    """Every run of the sweep counts, and its spread is shown, not only the best (Figures 8, 9);
    at a scale without a sweep, every seed."""
    metrics = sample_metrics(lab)
    rows = [
        {"model": model, **repeat, **measure_samples(lab, lab.train(model, **repeat))}
        for model in paper_models()
        for repeat in repeats(lab.scale, model)
    ]
    over = "seeds" if lab.scale.learning_rates == () else "the sweep"
    claims = [
        does_better(
            f"{better} does better than {worse} ({where})",
            metric,
            rows,
            {"model": worse},
            {"model": better},
            f"(mean over {over})",
        )
        for worse, better, where in BETTER
        for metric in metrics
    ]
    caption = (
        "One point per run. Lower is better for the critic's distance, higher for the others; the "
        "data's own score in red."
    )
    return Outcome(claims, {"sweep": rows}, {"sweep": (caption, _boxes(rows, metrics))})


def repeats(scale: Scale, model: str) -> list[dict[str, Any]]:
    """What tells the runs of one model from each other."""
    rates = scale.learning_rates
    if rates == ():
        return [{"seed": seed} for seed in scale.model_seeds.get(model, scale.seeds)]
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
