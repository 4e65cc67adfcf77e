"""What an experiment leaves: claims with their verdicts, pictures, and the data behind them."""

from __future__ import annotations

import csv
import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.files import atomic_file, write_json
from zoo.pictures import save_picture

SEEN, NOT_SEEN, UNDECIDED = "seen", "not seen", "not decidable at this scale"
_DEVIATIONS = 2.0  # chosen: a difference below two standard errors decides nothing


def decide(difference: float, standard_error: float | None) -> str:
    """The verdict on "difference > 0": undecided below two standard errors, or without one. Repeats
    that all give the same decide: there is then no difference, or it is certain."""
    if standard_error is None or not math.isfinite(difference):
        return UNDECIDED
    if abs(difference) <= _DEVIATIONS * standard_error and standard_error > 0:
        return UNDECIDED
    return SEEN if difference > 0 else NOT_SEEN


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


def judge(statement: str, difference: float, standard_error: float | None, numbers: str) -> Claim:
    """The claim that `difference > 0`; where it is undecided, its numbers say what would decide."""
    verdict = decide(difference, standard_error)
    if verdict == UNDECIDED and standard_error and math.isfinite(difference) and difference:
        more = (_DEVIATIONS * standard_error / difference) ** 2
        numbers += f"; {more:.2g} times the repeats would decide, if the difference stays"
    return Claim(statement, verdict, numbers)


def compare(
    statement: str,
    lower: tuple[float, float | None],
    higher: tuple[float, float | None],
    unit: str,
    margin: float = 0.0,
) -> Claim:
    """The claim that `lower` lies below `higher`, each a value with its standard error; with a
    `margin`, that it does not lie above it by that much."""
    errors = [error for _, error in (lower, higher) if error is not None]
    joint = math.hypot(*errors) if len(errors) == 2 else None
    numbers = " against ".join(_with_error(*side) for side in (lower, higher))
    return judge(statement, higher[0] - lower[0] + margin, joint, f"{numbers} {unit}")


def compare_pairs(
    statement: str, lower: Sequence[float], higher: Sequence[float], unit: str
) -> Claim:
    """The claim that `lower` lies below `higher`, values of the same runs in the same order: their
    differences decide, so that what varies from run to run cancels."""
    difference = mean_and_error([b - a for a, b in zip(lower, higher, strict=True)])
    means = [mean_and_error(side)[0] for side in (lower, higher)]
    numbers = f"{means[0]:.4g} against {means[1]:.4g} {unit}; difference {_with_error(*difference)}"
    return judge(statement, *difference, numbers)


def column(rows: Sequence[Mapping[str, Any]], name: str, **where: Any) -> list[Any]:
    """The values of one column, of the rows whose other columns are as said."""
    return [row[name] for row in rows if where.items() <= row.items()]


def mean_and_error(values: Sequence[float]) -> tuple[float, float | None]:
    """The mean over repeats and its standard error; None for a single one."""
    mean = sum(values) / len(values)
    if len(values) < 2:
        return mean, None
    variance = sum((v - mean) ** 2 for v in values) / (len(values) - 1)
    return mean, math.sqrt(variance / len(values))


def _with_error(value: float, error: float | None) -> str:
    return f"{value:.4g}" if error is None else f"{value:.4g} ± {error:.2g}"


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
            save_picture(folder / f"{name}.png", content)
            if hasattr(content, "savefig"):
                with atomic_file(folder / f"{name}.svg") as temporary:
                    content.savefig(temporary, format="svg", bbox_inches="tight")
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
