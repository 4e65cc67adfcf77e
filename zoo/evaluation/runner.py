"""Runs metrics and keeps their records in one file."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from zoo.config import EvaluationConfig
from zoo.data.images import ImageDataset
from zoo.errors import UsageError
from zoo.evaluation.protocol import Metric, Picture
from zoo.evaluation.samples.feature_extractors import default_feature_extractor
from zoo.evaluation.subject.subject import Subject
from zoo.files import user_path
from zoo.models.settings import keras_settings
from zoo.partial import remove
from zoo.pictures import save_picture
from zoo.records import (
    Entry,
    Record,
    answering,
    check_evaluation_file,
    merge_into,
    pictures_folder,
    read_evaluation,
)
from zoo.registry import METRICS, look_up
from zoo.versions import versions


def make_metric(name: str) -> Metric:
    """The metric of that name; raises `UsageError` for an unknown one."""
    return look_up("metric", name, METRICS)()


def evaluate(
    subject: Subject,
    dataset: ImageDataset,
    names: Sequence[str],
    settings: EvaluationConfig,
    output: Path,
    progress: Callable[[str], None] = lambda line: None,
) -> list[Entry]:
    """Measures `subject` and merges the records into the JSON file `output`.

    A metric that the file already has for the same weights, data and settings is not measured
    again, so that an interrupted evaluation goes on where it was. Several evaluations may share the
    file, and run at once. Pictures go into the folder that is called like the file without its
    ending; the file lists them with their captions.

    Args:
        subject: what is measured.
        dataset: the images.
        names: metrics, or `["all"]` for all that apply.
        settings: how; the pretrained classifier of the data set, where there is one, is the feature
            extractor by default.
        output: the file.
        progress: told a line before and after each metric.

    Returns:
        The records of these metrics.

    Raises:
        UsageError: a metric is unknown or does not apply, or the file could not be written.
    """
    output = check_evaluation_file(user_path(output, "output"))
    if settings.feature_extractor is None:
        default = default_feature_extractor(dataset.name)
        settings = dataclasses.replace(settings, feature_extractor=default)
    if list(names) == ["all"]:
        metrics = []
        for metric in map(make_metric, METRICS):
            try:
                metric.check(subject, dataset, settings)
                metrics.append(metric)
            except UsageError as reason:
                progress(f"{metric.name}: left out: {reason}")
    else:
        metrics = [make_metric(name) for name in names]
        for metric in metrics:
            metric.check(subject, dataset, settings)
    wanted = []
    for metric in metrics:
        # What was asked stands apart: a metric may record another split than the one it was given.
        key: Entry = {
            "asked": {
                "metric": metric.name,
                "revision": metric.revision,
                **metric.asked(subject, settings),
            },
            "weights": subject.weights,
            "dataset": dataset.name,
            "data_fingerprint": dataset.fingerprint,
        }
        records = answering(read_evaluation(output)["records"], key)
        if records:
            progress(f"{metric.name}: already measured")
        else:
            progress(f"{metric.name} ...")
            key |= {"subject": subject.name, "step": subject.step}
            with keras_settings():
                items = list(metric.measure(subject, dataset, settings))
            _check_finite(metric.name, items)
            records = _keep(output, key, items)
        wanted += records
    return wanted


def _keep(output: Path, key: Entry, items: Sequence[Record | Picture]) -> list[Entry]:
    """Merges what was measured into the file, and returns the records."""
    number = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:8]
    records, pictures = [], []
    for item in items:
        if isinstance(item, Picture):
            file = pictures_folder(output) / f"{key['asked']['metric']}-{item.name}-{number}.png"
            save_picture(file, item.content)
            name = file.relative_to(output.parent).as_posix()
            pictures.append({"file": name, "caption": item.caption, **key})
        else:
            records.append({**item.to_json(), "versions": versions(), **key})
    evaluation = merge_into(output, key, records, pictures)
    kept = {output.parent / picture["file"] for picture in evaluation["pictures"]}
    for file in pictures_folder(output).glob(f"{key['asked']['metric']}-*.png"):
        if file not in kept:
            remove(file)
    return records


def _check_finite(name: str, items: Sequence[Record | Picture]) -> None:
    """Raises `UsageError` for a number that JSON, and whoever reads it, has no place for."""
    for record in [item for item in items if isinstance(item, Record)]:
        try:
            json.dumps(dataclasses.asdict(record), allow_nan=False)
        except ValueError:
            raise UsageError(
                f"{name}: {record.metric} is {record.value} +- {record.standard_error}, or a "
                "detail of it is not finite: nothing of it is kept"
            ) from None
