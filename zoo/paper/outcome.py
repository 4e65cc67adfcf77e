"""What an experiment leaves: claims with their verdicts, pictures, and the data behind them."""

from __future__ import annotations

import csv
import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from scipy.optimize import brentq
from scipy.stats import t

from zoo.files import atomic_file, write_json
from zoo.pictures import save_picture

Rows = list[dict[str, Any]]  # of a table: columns to values

SEEN, NOT_SEEN, UNDECIDED = "seen", "not seen", "not decidable at this scale"
MARGIN = 0.1  # of a value: the least difference from it that counts; chosen
_LEVEL = 0.05  # chosen: how often a verdict may fall where there is no difference


class Estimate(NamedTuple):
    """A value and how sure it is.

    Attributes:
        value: most often a mean over repeats.
        standard_error: None where it is not known.
        degrees: of freedom, of the standard error: what three repeats say of their spread is less
            than what a thousand images say.
    """

    value: float
    standard_error: float | None = None
    degrees: float = math.inf

    def __str__(self) -> str:
        value, error, _ = self
        return f"{value:.4g}" if error is None else f"{value:.4g} ± {error:.2g}"


def decide(difference: Estimate, least: float = 0.0) -> str:
    """The verdict on "difference > 0" by its 95 % interval of Student's t: seen where that lies
    above zero, not seen where it ends below `least`, the smallest difference that counts. Undecided
    else, and without a standard error, as where repeats agree to the last digit, such as counts:
    of their spread these tell nothing."""
    value, error, _ = difference
    if error is None or (error == 0 and value != 0) or not math.isfinite(value):
        return UNDECIDED
    half_width = _half_width(difference)
    if value - half_width > 0:
        return SEEN
    return NOT_SEEN if value + half_width <= least else UNDECIDED


def _half_width(estimate: Estimate, times: float = 1.0) -> float:
    """Of the interval, were there `times` the repeats with the same spread."""
    # Of n repeats n - 1 are free; of two sides two fewer, so that this asks for slightly too many.
    degrees = (estimate.degrees + 1) * times - 1
    quantile = float(t.ppf(1 - _LEVEL / 2, degrees))
    return quantile * (estimate.standard_error or 0.0) / math.sqrt(times)


@dataclasses.dataclass(frozen=True)
class Claim:
    """A sentence of the paper, and whether it is seen.

    Attributes:
        statement: what the paper says.
        verdict: `SEEN`, `NOT_SEEN` or `UNDECIDED`.
        numbers: what the verdict rests on, with units.
    """

    statement: str
    verdict: str
    numbers: str


def judge(statement: str, difference: Estimate, numbers: str, least: float = 0.0) -> Claim:
    """The claim that `difference > 0`. Where it is undecided, its numbers say what would decide;
    where it is not seen for being small, how large the difference can be."""
    verdict = decide(difference, least)
    half_width = _half_width(difference)
    if verdict == NOT_SEEN and (end := difference.value + half_width) > 0:
        numbers += f"; a difference of {end:.2g} at most, where {least:.2g} would count"
    distance = max(difference.value, least - difference.value)  # to what an interval has to end at
    if verdict == UNDECIDED and difference.standard_error and 0 < distance < math.inf:
        most = (half_width / distance) ** 2  # more repeats narrow the quantile too
        more = brentq(lambda times: distance - _half_width(difference, times), 1, 2 * most)
        numbers += f"; {more:.3g} times the repeats would decide, if the difference stays"
    return Claim(statement, verdict, numbers)


def compare(
    statement: str, lower: Estimate, higher: Estimate, unit: str, least: float | None = None
) -> Claim:
    """The claim that `lower` lies below `higher`. The least difference that counts is `MARGIN` of
    the larger one; callers give another where the zero of the values means nothing."""
    error, degrees = _joint(lower, higher)
    difference = Estimate(higher.value - lower.value, error, degrees)
    numbers = f"{lower} against {higher} {unit}"
    return judge(statement, difference, numbers, _least(least, lower, higher))


def _least(given: float | None, *sides: Estimate) -> float:
    return MARGIN * max(abs(side.value) for side in sides) if given is None else given


def _joint(*sides: Estimate) -> tuple[float | None, float]:
    """The standard error of a difference, and its degrees of freedom by Welch (1947), who does not
    ask that both sides spread alike."""
    errors = [side.standard_error for side in sides if side.standard_error is not None]
    if len(errors) < len(sides):
        return None, math.inf
    joint = math.hypot(*errors)
    parts = sum(e**4 / side.degrees for e, side in zip(errors, sides, strict=True))
    return joint, joint**4 / parts if parts else math.inf


def compare_pairs(
    statement: str,
    lower: Sequence[float],
    higher: Sequence[float],
    unit: str,
    least: float | None = None,
) -> Claim:
    """`compare` of values of the same runs or seeds in the same order: their differences decide, so
    that what varies from run to run cancels."""
    difference = mean_and_error([b - a for a, b in zip(lower, higher, strict=True)])
    means = [Estimate(mean_and_error(side).value) for side in (lower, higher)]
    numbers = f"{means[0]} against {means[1]} {unit}; difference {difference}"
    return judge(statement, difference, numbers, _least(least, *means))


def column(rows: Sequence[Mapping[str, Any]], name: str, **where: Any) -> list[Any]:
    """The values of one column, of the rows whose other columns are as said."""
    return [row[name] for row in rows if where.items() <= row.items()]


def mean_and_error(values: Sequence[float]) -> Estimate:
    """The mean over repeats with its standard error; without one if it is a single one."""
    n, mean = len(values), sum(values) / len(values)
    if n < 2:
        return Estimate(mean)
    variance = sum((v - mean) ** 2 for v in values) / (n - 1)
    return Estimate(mean, math.sqrt(variance / n), n - 1)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What an experiment found.

    Attributes:
        claims: what of the paper was put to the test.
        tables: rows by name; each row maps columns to values.
        pictures: by name, a caption and pixels or a matplotlib figure.
    """

    claims: Sequence[Claim]
    tables: Mapping[str, Sequence[Mapping[str, Any]]]
    pictures: Mapping[str, tuple[str, Any]] = dataclasses.field(default_factory=dict)

    def prose(self) -> str:
        """The findings in sentences, made of the numbers."""
        return " ".join(f"{c.statement}: {c.verdict} ({c.numbers})." for c in self.claims)

    def write(self, folder: Path, **about: Any) -> None:
        """Writes the pictures as PNG and, where they are drawings, SVG; the tables as CSV; and
        last `result.json`, with `about`."""
        for name, rows in self.tables.items():
            with atomic_file(folder / f"{name}.csv") as temporary:
                _write_csv(temporary, rows)
        for name, (_, content) in self.pictures.items():
            endings = ("png", "svg") if hasattr(content, "savefig") else ("png",)
            for ending in endings:
                save_picture(folder / f"{name}.{ending}", content)
        result = {
            **about,
            "prose": self.prose(),
            "claims": [dataclasses.asdict(claim) for claim in self.claims],
            "tables": {name: list(rows) for name, rows in self.tables.items()},
            "pictures": {name: caption for name, (caption, _) in self.pictures.items()},
        }
        write_json(folder / "result.json", result)


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
