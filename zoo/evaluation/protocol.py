"""What a metric is, and what it yields beside its records."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from zoo.config import EvaluationConfig
from zoo.data.images import ImageDataset, Split
from zoo.evaluation.statistics import standard_error
from zoo.evaluation.subject.subject import Subject
from zoo.options import Option
from zoo.records import Record


@dataclasses.dataclass(frozen=True)
class Picture:
    """What a metric shows beside its numbers.

    Attributes:
        name: of its file, unique within the metric.
        caption: one sentence: what is seen, with units.
        content: uint8 pixels `[H, W, C]` or a matplotlib figure.
    """

    name: str
    caption: str
    content: np.ndarray | Any


class Metric:
    """One metric.

    Attributes:
        name: as in `zoo.registry.METRICS`.
        needs: the signatures that it calls.
        options: its own settings, fields of `EvaluationConfig` by these declarations.
        uses: the shared fields of `EvaluationConfig` that its numbers depend on; a change of
            another one does not make it measure again.
        revision: raised where the same settings give other numbers or errors than before, so that
            what is on file is measured again.
        higher_is_better: those of its records of which that is so.
        lower_is_better: those of which that is; others have no better direction.
        beside: of a record, the one that tells what it could be at best, such as its floor; where
            none is named, the data's own score, under its name with `_data` behind it.
    """

    revision = 1
    options: tuple[Option, ...] = ()
    higher_is_better: tuple[str, ...] = ()
    lower_is_better: tuple[str, ...] = ()
    beside: Mapping[str, str] = MappingProxyType({})

    name: str
    needs: tuple[str, ...]
    uses: tuple[str, ...]

    def asked(self, subject: Subject, settings: EvaluationConfig) -> dict[str, Any]:
        """What of `settings` the numbers depend on, as JSON."""
        names = (*self.uses, *(option.name for option in self.options))
        return {name: getattr(settings, name) for name in names}

    @staticmethod
    def examples(dataset: ImageDataset, settings: EvaluationConfig) -> Split:
        """Of the split: as many as are asked for, by chance, else all."""
        split = dataset.split(settings.split)
        return split.some(settings.count(len(split)))

    def check(self, subject: Subject, dataset: ImageDataset, settings: EvaluationConfig) -> None:
        """Raises `UsageError`, naming what is missing, where the metric does not apply."""
        subject.require(*self.needs)

    def measure(
        self, subject: Subject, dataset: ImageDataset, settings: EvaluationConfig
    ) -> Iterator[Record | Picture]:
        """Measures `subject` on `dataset`. Where real data have a score of their own, it comes
        first, from the same code, under the metric's name with `_data` behind it."""
        raise NotImplementedError


def few(n: int, enough: int, consequence: str) -> tuple[str, ...]:
    """The warning of a number from `n` images or samples where it takes `enough` to trust it."""
    return (f"n = {n}, of at least {enough}: {consequence}",) if n < enough else ()


def short(steps: int, enough: int) -> tuple[str, ...]:
    """The warning of a network that a metric trained for `steps`, less than it takes."""
    if steps >= enough:
        return ()
    return (f"trained for {steps} updates, of at least {enough}: the network may tell less yet",)


def mean_record(
    metric: str,
    values: Any,
    split: str | None,
    definition: str,
    warnings: tuple[str, ...] = (),
    **details: Any,
) -> Record:
    """The mean of per-example `values [N]` with its standard error."""
    n = len(values)
    error = standard_error(values) if n > 1 else None
    mean = float(values.mean())
    return Record(metric, mean, error, n, split, definition, details, warnings=warnings)
