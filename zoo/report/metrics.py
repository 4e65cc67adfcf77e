"""Records as a page shows them: in groups, with a direction, and beside what they could be."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

from zoo.evaluation.protocol import Metric
from zoo.records import Entry, population_interval
from zoo.registry import METRICS, follow

DATA = "_data"  # behind the name of a metric: the data's own score
# The rooms of `zoo/evaluation/`.
GROUPS = {"likelihood": "Likelihood", "latent": "Latent space", "samples": "Samples"}
OTHER = "Others"


@dataclasses.dataclass(frozen=True)
class Reference:
    """What a number is read beside.

    Attributes:
        name: "data" or "floor", the first where the same code measured the data themselves.
        value: the number.
        text: the number in words.
    """

    name: str
    value: float
    text: str


@dataclasses.dataclass(frozen=True)
class Row:
    """A record.

    Attributes:
        entry: the record itself.
        direction: "up" where higher is better, "down" where lower is; "" where neither.
        reference: None where there is none.
        beside: further words, of the population's interval.
    """

    entry: Entry
    direction: str
    reference: Reference | None
    beside: str

    @property
    def value(self) -> str:
        """In six digits."""
        return f"{self.entry['value']:.6g}"

    @property
    def error(self) -> str:
        """The standard error, or nothing."""
        error = self.entry["standard_error"]
        return "" if error is None else f"± {error:.3g}"

    @property
    def bar(self) -> Mapping[str, float] | None:
        """`value`, `reference` and `error` in percent of the larger of both; None where there is
        nothing to compare, or one is negative."""
        if self.reference is None:
            return None
        value, reference = self.entry["value"], self.reference.value
        top = 1.05 * max(value, reference)
        if min(value, reference) < 0 or not 0 < top < math.inf:
            return None
        error = self.entry["standard_error"] or 0.0
        shares = {"value": value, "reference": reference, "error": error}
        return {name: 100 * share / top for name, share in shares.items()}


def direction_of(record: Entry) -> str:
    """See `Row`."""
    metric = _metric(record)
    if metric is not None and record["metric"] in metric.higher_is_better:
        return "up"
    if metric is not None and record["metric"] in metric.lower_is_better:
        return "down"
    return ""


def group_of(record: Entry) -> str:
    """The title of the group that a record stands in."""
    path = METRICS.get(record["asked"]["metric"], "")
    return next((title for room, title in GROUPS.items() if f".{room}." in path), OTHER)


def grouped(records: Sequence[Entry]) -> dict[str, list[Row]]:
    """Rows by the title of their group; what others are read beside has no row of its own."""
    found = [_beside(record, records) for record in records]
    referred = {id(other) for other in found}
    groups: dict[str, list[Row]] = {title: [] for title in (*GROUPS.values(), OTHER)}
    for record in records:
        if id(record) not in referred:
            interval = population_interval(record, records)
            row = Row(record, direction_of(record), reference(record, records), interval)
            groups[group_of(record)].append(row)
    return {title: rows for title, rows in groups.items() if rows}


def reference(record: Entry, records: Sequence[Entry]) -> Reference | None:
    """What a record is read beside, from those that answer the same question; None where there is
    nothing."""
    other = _beside(record, records)
    if other is None:
        return None
    error = other["standard_error"]
    text = f"{other['value']:.4g}" + ("" if error is None else f" ± {error:.2g}")
    is_data = other["metric"] == record["metric"] + DATA
    return Reference("data" if is_data else "floor", other["value"], text)


def _beside(record: Entry, records: Sequence[Entry]) -> Entry | None:
    metric = _metric(record)
    own = record["metric"] + DATA
    name = own if metric is None else metric.beside.get(record["metric"], own)
    same = ("asked", "weights", "dataset", "data_fingerprint", "subject")
    for other in records:
        if other["metric"] == name and all(other.get(k) == record.get(k) for k in same):
            return other
    return None


def _metric(record: Entry) -> type[Metric] | None:
    """The metric that yields it; None where this zoo has it no more."""
    path = METRICS.get(record["asked"]["metric"])
    return follow(path) if path else None
