"""Runs metrics and keeps their records in one file."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from zoo.errors import UsageError
from zoo.evaluation.records import Metric, Settings
from zoo.evaluation.subjects import Subject
from zoo.files import write_json
from zoo.run import read_records, versions

METRICS = {
    "elbo": "zoo.evaluation.elbo.Elbo",
    "marginal_kl": "zoo.evaluation.aggregate_posterior.MarginalKLMetric",
}


def make_metric(name: str) -> Metric:
    """The metric of that name; raises `UsageError` for an unknown one."""
    if name not in METRICS:
        raise UsageError(f"metric {name!r} is not known: expected {', '.join(METRICS)}, or all")
    module, attribute = METRICS[name].rsplit(".", 1)
    return getattr(importlib.import_module(module), attribute)()


def evaluate(
    subject: Subject,
    dataset: Any,
    names: Sequence[str],
    settings: Settings,
    output: Path,
    progress: Callable[[str], None] = lambda line: None,
) -> list[dict[str, Any]]:
    """Measures `subject` and merges the records into the JSON file `output`.

    A metric that the file already has for the same step, split, samples and seed is not measured
    again, so that an interrupted evaluation goes on where it was.

    Args:
        subject: what is measured.
        dataset: an `ImageDataset`.
        names: metrics, or `["all"]` for all that apply.
        settings: how.
        output: the file.
        progress: told a line before and after each metric.

    Returns:
        The records of these metrics.

    Raises:
        UsageError: a metric is unknown or does not apply.
    """
    if list(names) == ["all"]:
        metrics = [make_metric(name) for name in METRICS]
        metrics = [m for m in metrics if set(m.needs) <= set(subject.functions)]
    else:
        metrics = [make_metric(name) for name in names]
        for metric in metrics:
            subject.require(*metric.needs)
    records = read_records(output)
    wanted = []
    for metric in metrics:
        # What was asked stands apart: a metric may record another split than the one it was given.
        key = {
            "asked": {"metric": metric.name, **dataclasses.asdict(settings)},
            "subject": subject.name,
            "step": subject.step,
        }
        found = [r for r in records if key.items() <= r.items()]
        if found:
            progress(f"{metric.name}: already measured")
        else:
            progress(f"{metric.name} ...")
            found = [
                {**dataclasses.asdict(record), **_provenance(dataset), **key}
                for record in metric.measure(subject, dataset, settings)
            ]
            records = [r for r in records if r["asked"]["metric"] != metric.name] + found
            write_json(output, {"records": records})
        wanted += found
    return wanted


def _provenance(dataset: Any) -> dict[str, Any]:
    return {
        "dataset": dataset.name,
        "data_fingerprint": dataset.fingerprint,
        "versions": versions(),
    }
