"""Whole commands that an evaluation has answered before, found without the model.

A metric that is on file is not measured again, but to know which one it is takes TensorFlow, the
model and every metric's code: seconds, for numbers that are there. So the file also keeps, for each
command, the digest of all that its answer depends on, and which records were the answer.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from zoo.config import BEST, EvaluationConfig
from zoo.errors import UsageError
from zoo.files import read_bytes
from zoo.records import Entry, answering, changed, read_evaluation
from zoo.registry import source_of
from zoo.run import Run

KEPT = 20  # answers in a file, the newest; chosen
_TELLS = ("asked", "weights", "dataset", "data_fingerprint")  # one measurement from all others
_CODE = Path(__file__).parent


def question(run: Run, names: Sequence[str], settings: EvaluationConfig) -> str | None:
    """Digest of what the answer to a command depends on: the files of the run's model and of the
    feature extractor, the images, what is asked of them, and the zoo's own code. None where one of
    these cannot be read, of which those who have to will tell.

    Args:
        run: whose images are those that it was trained on.
        names: metrics, as they are asked for.
        settings: how.
    """
    try:
        # Images that come with a package are what they were: to load them can take seconds.
        fixed = source_of(run.config.data.dataset).data_dir == "unused"
        asked = {
            "metrics": list(names),
            "settings": dataclasses.asdict(settings),
            "data_fingerprint": run.data_fingerprint if fixed else run.dataset.fingerprint,
        }
        digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode())
        for file in (*_extractor(settings.feature_extractor), *_model(run), *_code()):
            digest.update(file.name.encode() + hashlib.sha256(read_bytes(file)).digest())
    except (UsageError, OSError):
        return None
    return digest.hexdigest()


def _model(run: Run) -> Iterator[Path]:
    described = (run.path / name for name in ("config.json", "networks.json"))
    yield from (file for file in described if file.exists())
    yield from run.checkpoints.files(best=run.checkpoint == BEST)


def _extractor(place: str | None) -> Iterator[Path]:
    if place is not None:
        path = Path(place)
        yield from _model(Run.open(path)) if path.is_dir() else (path,)


def _code() -> Iterator[Path]:
    """Of the zoo, with the cards of its pretrained models, which have a hash of their weights."""
    yield from sorted(file for kind in ("*.py", "*.json") for file in _CODE.rglob(kind))


def find(file: Path, asked: str) -> tuple[list[str], list[Entry]] | None:
    """The answer to a question: what was said of metrics that do not apply, and the records; None
    where it was never answered, or its records have been replaced since."""
    evaluation = read_evaluation(file)
    for answer in evaluation["answers"]:
        if answer["question"] == asked:
            records = [answering(evaluation["records"], key) for key in answer["records"]]
            return (answer["said"], sum(records, [])) if all(records) else None
    return None


def keep(file: Path, asked: str, said: Sequence[str], records: Sequence[Entry]) -> None:
    """Puts an answer into the file.

    Args:
        file: the `evaluation.json`, which has the records.
        asked: the question.
        said: of metrics that do not apply.
        records: of those that do.
    """
    keys = [{name: record[name] for name in _TELLS} for record in records]
    once = [key for i, key in enumerate(keys) if key not in keys[:i]]
    with changed(file) as evaluation:
        others = [answer for answer in evaluation["answers"] if answer["question"] != asked]
        new = {"question": asked, "said": list(said), "records": once}
        evaluation["answers"] = [*others, new][-KEPT:]
