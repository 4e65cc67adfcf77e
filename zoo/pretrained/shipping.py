"""Puts a trained run among the models that come with the zoo.

    python -m zoo.pretrained.shipping runs/vae color_mnist_mini/vae --limits="..."
    python -m zoo.pretrained.shipping --again color_mnist_mini/vae

The second measures one that is there anew, as where a metric is another one now.
Large weights are kept in half precision. The metrics are measured of the weights that are kept, and
beside them of the run's own: a difference beyond the errors would be seen in what this prints.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from zoo.config import EvaluationConfig
from zoo.errors import UsageError
from zoo.evaluation.runner import evaluate
from zoo.evaluation.subject.subject import Subject
from zoo.files import read_json, write_json
from zoo.manifest import write_manifest
from zoo.pretrained import MANIFEST, open_pretrained
from zoo.pretrained.saving import keep_records, save_pretrained
from zoo.records import Entry, shown
from zoo.registry import INSTRUMENTS
from zoo.run import Run

PLACE = Path(__file__).parent
# Those that train no network: chosen.
METRICS = (
    "inception_score",
    "fid",
    "marginal_kl",
    "population_kl",
    "reconstruction",
    "elbo",
    "kid",
    "precision_recall",
    "ms_ssim_diversity",
    "active_units",
)


def ship(run: Run, name: str, limits: str) -> Path:
    """Writes `run` to its place in the package, measured, and returns the folder.

    Raises:
        UsageError: the run has not ended, there is one of that name already, or it cannot be
            written.
    """
    if not run.is_finished:
        raise UsageError(f"{run.path} has not reached its last step")
    folder = save_pretrained(run, PLACE / name, name, limits=limits, half=True)
    _forget_place(folder)
    if run.config.model.model in INSTRUMENTS:
        return folder
    kept = _measured(Run.open(folder))
    for ours, full in zip(kept, _measured(run), strict=True):
        print(f"{ours['metric']:28} half {shown(ours)}, full {shown(full)}")
    keep_records(folder, kept)
    return folder


def _forget_place(folder: Path) -> None:
    """Leaves of the images' place on this machine the last name, as a user may have it too."""
    config = read_json(folder / "config.json")
    if place := config["data"]["data_dir"]:
        config["data"]["data_dir"] = Path(place).name
        write_json(folder / "config.json", config)
        write_manifest(folder, MANIFEST)


def _measured(run: Run) -> list[Entry]:
    subject, settings = Subject.of_run(run), EvaluationConfig()
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch) / "evaluation.json"
        records = []
        for name in METRICS:
            try:
                records += evaluate(subject, run.dataset, [name], settings, output)
            except UsageError as reason:
                print(f"{name}: left out: {reason}")
        return records


def main(arguments: Sequence[str] | None = None) -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run_dir", nargs="?")
    parser.add_argument("name")
    parser.add_argument("--again", action="store_true", help="measure what is there anew")
    parser.add_argument("--limits", default="", help="what the figures do not tell")
    given = parser.parse_args(arguments)
    if given.again:
        keep_records(PLACE / given.name, _measured(open_pretrained(given.name)))
    else:
        print(f"wrote {ship(Run.open(given.run_dir), given.name, given.limits)}")


if __name__ == "__main__":
    main()
