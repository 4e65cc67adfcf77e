"""What a metric yields: numbers with all that is needed to read them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, Protocol

from zoo.evaluation.subjects import Subject


@dataclasses.dataclass(frozen=True)
class Settings:
    """How to measure.

    Attributes:
        split: the split of the data set that is measured.
        num_samples: samples or examples to use; None for each metric's own default.
        seed: of the evaluation's noise.
    """

    split: str = "test"
    num_samples: int | None = None
    seed: int = 0

    def count(self, default: int, available: int | None = None) -> int:
        """How many to use: as set, else `default`, at most `available`."""
        wanted = default if self.num_samples is None else self.num_samples
        return wanted if available is None else min(wanted, available)


@dataclasses.dataclass(frozen=True)
class Record:
    """One number.

    Attributes:
        metric: its name.
        value: the number.
        standard_error: of `value`; None where it is not estimated.
        n: examples or samples that it was measured on.
        split: of the data; None where no data take part.
        definition: what the number is, with its unit.
        details: what else is needed to read it.
    """

    metric: str
    value: float
    standard_error: float | None
    n: int
    split: str | None
    definition: str
    details: dict[str, Any] = dataclasses.field(default_factory=dict)


class Metric(Protocol):
    """One metric: `needs` names the signatures that it calls."""

    name: str
    needs: tuple[str, ...]

    def measure(self, subject: Subject, dataset: Any, settings: Settings) -> Iterator[Record]:
        """Measures `subject` on `dataset`."""


def mean_record(
    metric: str, values: Any, split: str | None, definition: str, **details: Any
) -> Record:
    """The mean of per-example `values [N]` with its standard error."""
    n = len(values)
    error = float(values.std(ddof=1) / n**0.5) if n > 1 else None
    return Record(metric, float(values.mean()), error, n, split, definition, details)
