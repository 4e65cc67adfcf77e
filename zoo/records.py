"""The records of an evaluation, and the file that keeps them."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.errors import UsageError
from zoo.files import check_writable, locked, read_json, write_json
from zoo.formats import FORMAT_VERSION, check_format

Entry = dict[str, Any]  # of the file: a record or a picture, with what was asked


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
        feature_extractor: the one whose classes or features the number depends on; None
            where there is none.
        warnings: why it says less than it seems to, a short sentence each.
    """

    metric: str
    value: float
    standard_error: float | None
    n: int
    split: str | None
    definition: str
    details: dict[str, Any] = dataclasses.field(default_factory=dict)
    feature_extractor: str | None = None
    warnings: tuple[str, ...] = ()

    def to_json(self) -> Entry:
        """What stands in the file."""
        return {**dataclasses.asdict(self), "warnings": list(self.warnings)}


def shown(entry: Entry, digits: int = 6) -> str:
    """The value of a record with its standard error, as 1.5 ± 0.25."""
    error = entry["standard_error"]
    return f"{entry['value']:.{digits}g}" + ("" if error is None else f" ± {error:.3g}")


# The records between which the population's KL lies, and those that have to be read beside it.
INTERVAL = ("population_kl_lower", "population_kl_upper")
_BESIDE = ("marginal_kl",)


def population_interval(entry: Entry, entries: Sequence[Entry]) -> str:
    """What stands beside a KL of N encoded examples: the interval of the population's, from records
    of the same weights and data; nothing beside other records."""
    if entry["metric"] not in _BESIDE:
        return ""
    same = ("weights", "dataset", "data_fingerprint")
    ends = {
        other["metric"]: shown(other, 4)
        for other in entries
        if other["metric"] in INTERVAL and all(other.get(k) == entry.get(k) for k in same)
    }
    if not ends:
        return "population: not measured (population_kl)"
    lower, upper = (ends.get(name, "no bound") for name in INTERVAL)
    return f"population: {lower} to {upper}"


# ---- The file ----------------------------------------------------------------------------------

_JSON_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "None": (type(None),),
}
# What every entry has had from the first.
_PICTURE = {"file": (str,), "caption": (str,)}
_RECORD = {
    field.name: sum((_JSON_TYPES[kind] for kind in str(field.type).split(" | ")), ())
    for field in dataclasses.fields(Record)
    if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
}


def pictures_folder(file: Path) -> Path:
    """Where the pictures of an evaluation lie: beside its file, called so without the ending."""
    return file.with_suffix("")


def check_evaluation_file(file: Path) -> Path:
    """`file`, if records could be written there, and pictures beside it; told before the work.

    Raises:
        UsageError: it does not end in .json, so that its pictures' folder might be called like it,
            or one of them could not be written.
    """
    if file.suffix != ".json":
        raise UsageError(f"output={str(file)!r} is not accepted: expected a .json file")
    check_writable(pictures_folder(file) / "picture.png")
    return check_writable(file)


def read_evaluation(file: Path) -> dict[str, list[Entry]]:
    """The `records`, `pictures` and `answers` of an `evaluation.json`; none where there is no file.

    Raises:
        UsageError: it is no such file, or one of a newer version.
    """
    content = read_json(file) if os.path.exists(file) else {"records": []}
    if not isinstance(content, dict) or not isinstance(content.get("records"), list):
        raise UsageError(f"{file} is not an evaluation: expected an object with `records`")
    format_version = check_format(content, file)
    evaluation = {"records": content["records"], "pictures": content.get("pictures", [])}
    for kind, fields in (("records", _RECORD), ("pictures", _PICTURE)):
        entries = evaluation[kind]
        bad = [e for e in entries if not _has(e, fields)] if isinstance(entries, list) else [kind]
        if bad:
            raise UsageError(
                f"{file} is damaged: among its {kind} is {str(bad[0])[:80]}, which no evaluation "
                "writes; remove the file, and evaluate again"
            )
    if format_version == 1:
        _rename_classifier(evaluation)
    answers = content.get("answers", [])
    evaluation["answers"] = answers if _are_answers(answers) else []
    return evaluation


def merge_into(
    file: Path, key: Entry, records: Sequence[Entry], pictures: Sequence[Entry]
) -> dict[str, list[Entry]]:
    """Puts entries into the file as it is now, and returns all that it has then.

    They take the place of what was asked of other weights of the same subject; answers to all other
    questions stay. Several processes may do so at once.

    Args:
        file: the `evaluation.json`.
        key: what was asked, of what and on which data; each new entry holds it.
        records: new ones.
        pictures: new ones.
    """
    with changed(file) as evaluation:
        for kind, new in (("records", records), ("pictures", pictures)):
            kept = [entry for entry in evaluation[kind] if not _superseded(entry, key)]
            evaluation[kind] = [*kept, *new]
    return evaluation


@contextlib.contextmanager
def changed(file: Path) -> Iterator[dict[str, list[Entry]]]:
    """Yields what the file has, and writes it back as the block leaves it; no other process changes
    it meanwhile."""
    with locked(file):
        evaluation = read_evaluation(file)
        yield evaluation
        write_json(file, {"format_version": FORMAT_VERSION, **evaluation})


def answering(records: Sequence[Entry], key: Entry) -> list[Entry]:
    """The records of what was asked: those that hold `key`."""
    return [record for record in records if key.items() <= record.items()]


def _rename_classifier(evaluation: dict[str, list[Entry]]) -> None:
    """In format 1 a feature extractor was called so."""
    for entry in (*evaluation["records"], *evaluation["pictures"]):
        for fields in (entry, entry["asked"]):
            if "classifier" in fields:
                fields["feature_extractor"] = fields.pop("classifier")


def _has(entry: Any, fields: Mapping[str, tuple[type, ...]]) -> bool:
    """Whether a JSON value is an object with these fields, and tells what was asked for."""
    return (
        isinstance(entry, dict)
        and all(name in entry and isinstance(entry[name], kinds) for name, kinds in fields.items())
        and isinstance(entry.get("asked"), dict)
        and isinstance(entry["asked"].get("metric"), str)
        and isinstance(entry.get("warnings", []), list)
    )


def _are_answers(answers: Any) -> bool:
    """Whether a JSON value is what `zoo.answers` keeps; nothing is lost with another."""
    return isinstance(answers, list) and all(
        isinstance(answer, dict)
        and isinstance(answer.get("question"), str)
        and isinstance(answer.get("said"), list)
        and isinstance(answer.get("records"), list)
        and all(isinstance(key, dict) for key in answer["records"])
        for answer in answers
    )


def _superseded(entry: Entry, key: Entry) -> bool:
    """Whether an entry of the file answers what was asked, of the same subject and data."""
    # Before revisions and fingerprints of weights there was one answer of a metric in a file.
    if "weights" not in entry:
        return entry["asked"]["metric"] == key["asked"]["metric"]
    asked = {**entry["asked"], "revision": key["asked"]["revision"]}
    return asked == key["asked"] and all(
        entry.get(name) == key[name] for name in ("subject", "dataset", "data_fingerprint")
    )
