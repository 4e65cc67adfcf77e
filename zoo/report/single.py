"""The page of one run, and that of one evaluation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.errors import UsageError
from zoo.files import user_path
from zoo.models import model_class
from zoo.records import read_evaluation
from zoo.report import pictures
from zoo.report.drawings import draw
from zoo.report.metrics import grouped
from zoo.report.page import write_page
from zoo.report.plots import training_curves
from zoo.run import Run


def write_report(run: Run, drawing: bool = True) -> Path:
    """Writes `report.html` of a run and returns its path.

    Samples, reconstructions and walks are drawn from the newest checkpoint; where that, or the
    data, is not there, the page says so.

    Args:
        run: it.
        drawing: whether it draws at all; else no weights are read.

    Raises:
        UsageError: it is a pretrained model.
    """
    if run.is_pretrained:
        raise UsageError(f"{run.path} is a pretrained model, to whose folder nothing is written")
    lines, evaluation = run.history(), run.evaluation()
    drawings = draw(run) if drawing else []
    return write_page(
        run.path / "report.html",
        "run.html",
        title=f"{run.config.model.model} on {run.config.data.dataset}",
        subtitle=str(run.path),
        sentence=sentence(run, lines[-1]["step"] if lines else 0),
        drawn=[d for d in drawings if d.picture],
        missing={d.reason: None for d in drawings if d.reason},
        groups=grouped(evaluation["records"]),
        measured=pictures.of_evaluation(run.path, evaluation["pictures"]),
        trained=pictures.of_training(run.path),
        history=training_curves(lines, model_class(run.config.model.model).terms),
        settings=_settings(run.config.flat()),
    )


def write_evaluation(file: str | Path) -> Path:
    """Writes a page about an evaluation file, beside it and called like it, and returns its path.

    Raises:
        UsageError: it is no such file, or there is nothing in it.
    """
    file = user_path(file)
    evaluation = read_evaluation(file)
    if not evaluation["records"]:
        raise UsageError(f"{file} has no records: expected a file that zoo-evaluate wrote")
    parts = []
    for subject, dataset in dict.fromkeys(map(_measured, evaluation["records"])):
        records, seen = (
            [e for e in evaluation[kind] if _measured(e) == (subject, dataset)]
            for kind in ("records", "pictures")
        )
        own = pictures.of_evaluation(file.parent, seen)
        parts.append((f"{subject} and {dataset}", grouped(records), own))
    return write_page(
        file.with_suffix(".html"), "evaluation.html", title=file.name, subtitle="", parts=parts
    )


def _measured(entry: Mapping[str, Any]) -> tuple[str, str]:
    return entry.get("subject", ""), entry.get("dataset", "")


def sentence(run: Run, step: int) -> str:
    """What a run is, and how far it has come."""
    model, training = run.config.model, run.config.training
    # The first sentence of its docstring, without whom it cites.
    what = re.split(r"\s*[(.:;]", model_class(model.model).__doc__ or model.model, maxsplit=1)[0]
    parts = {
        "latent dimensions": model.latent_size,
        "posterior": model.posterior,
        "likelihood": model.likelihood,
        "prior": model.prior,
        "networks": model.network,
    }
    made = ", ".join(f"{value} {name}" for name, value in parts.items() if value is not None)
    shape = " x ".join(map(str, run.image_shape))
    return (
        f"{' '.join(what.split())} on {run.config.data.dataset}, images of {shape}; {made}; "
        f"step {step} of {training.steps}, {training.batch_size} images a step, "
        f"seed {training.seed}."
    )


def _settings(flat: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return sorted((name, value) for name, value in flat.items() if value is not None)
