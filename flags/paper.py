"""zoo-paper: makes the paper's figures and tables.

zoo-paper --list
zoo-paper --experiment=posteriors --scale=small --output=docs/results
zoo-paper --experiment=samples --scale=medium --dataset=blue_marble --output=docs/results
zoo-paper --experiment=all --scale=smoke --output=/tmp/results

Each experiment writes OUTPUT/EXPERIMENT/DATASET/ (OUTPUT/EXPERIMENT/ where it trains no model and
knows the truth): pictures (PNG and SVG), the data behind them (CSV) and result.json; OUTPUT.md is
the page of them all. What is finished is not done again, and what is trained and computed is kept
and shared between experiments. `all` goes on after a failure and ends with exit code 1. After a
signal (exit code 0 if SIGTERM or SIGHUP ends a training) the same command goes on where it was.
"""

from __future__ import annotations

import shlex
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from zoo.errors import UsageError, expected_of
from zoo.files import ROOM, check_length, check_writable
from zoo.flags import parsers, paths, program
from zoo.paper import EXPERIMENTS, experiment
from zoo.paper.scales import SCALES

if TYPE_CHECKING:
    from zoo.paper.lab import Lab

FAILED = 1


def define(values: flags.FlagValues) -> None:
    """Flags of zoo-paper."""
    flags.DEFINE_string("experiment", None, "Its name, or all.", flag_values=values)
    parsers.define_choice(
        "scale",
        "small",
        tuple(SCALES),
        "Seconds (smoke), about an hour each on two CPU cores (small), longer runs, natural images "
        "among them (medium), or the paper's iterations.",
        flag_values=values,
    )
    program.define_shared(values, "output", output="Folder of the results.")
    paths.define_path(
        "runs_dir", None, "Folder of the trained runs; OUTPUT/runs by default.", flag_values=values
    )
    flags.DEFINE_string(
        "dataset", None, "One of the scale's data sets; all by default.", flag_values=values
    )
    flags.DEFINE_bool("list", False, "Print what there is and exit.", flag_values=values)


def main(values: flags.FlagValues) -> int:
    """Runs experiments."""
    if values["list"].value:
        print(overview())
        return 0
    program.exactly_one(values, "experiment")
    program.exactly_one(values, "output")
    alone = values.experiment != "all"
    names = [values.experiment] if alone else list(EXPERIMENTS)
    for name in names:
        experiment(name)
    datasets = _datasets(values, names)
    output = check_length(Path(values.output), ROOM)
    if output.exists() and not output.is_dir():
        raise UsageError(f"output={values.output} is a file: expected a folder")
    program.start_tensorflow()
    from zoo.paper.lab import Lab, Stopped
    from zoo.paper.results import page_of

    check_writable(page_of(output))
    scale, runs = SCALES[values.scale], Path(values.runs_dir or output / "runs")
    failed = []
    try:
        for name in names:
            for dataset in datasets if EXPERIMENTS[name].data != "none" else ("",):
                if not _run(name, Lab(scale.of(name, dataset), runs, dataset), output, alone):
                    failed.append(_called(name, dataset))
    except Stopped as stopped:
        print(stopped)
        return 0
    if failed:
        print(f"zoo-paper: failed: {', '.join(failed)}", file=sys.stderr)
    return FAILED if failed else 0


def _datasets(values: flags.FlagValues, names: Sequence[str]) -> tuple[str, ...]:
    """Those that are asked for."""
    known = SCALES[values.scale].datasets
    if values.dataset is None:
        return known
    if values.dataset not in known:
        expected = expected_of(values.dataset, known)
        raise UsageError(f"scale={values.scale} has no dataset={values.dataset!r}: {expected}")
    if len(names) == 1 and EXPERIMENTS[names[0]].data == "none":
        raise UsageError(f"experiment={names[0]} is of no data set: leave --dataset out")
    return (values.dataset,)


def _called(name: str, dataset: str) -> str:
    return f"{name} on {dataset}" if dataset else name


def overview() -> str:
    """A Markdown table of the experiments."""
    from zoo.paper.results import markdown_table

    rows = [
        {"experiment": f"`{name}`", "items": e.items, "shows": e.shows, **e.cost}
        for name, e in EXPERIMENTS.items()
    ]
    return markdown_table(rows)


def _run(name: str, lab: Lab, output: Path, alone: bool) -> bool:
    """Runs one experiment on one data set unless it is finished; tells whether it went well."""
    from zoo.files import read_json
    from zoo.paper.results import write_page
    from zoo.versions import versions

    folder, chosen = output / name / lab.dataset, experiment(name)
    called = _called(name, lab.dataset)
    if chosen.data == "classes" and not lab.has_classes:
        print(f"{called} is left out: its metric needs a classifier.")
        return True
    if (folder / "result.json").exists():
        scale = read_json(folder / "result.json").get("scale")
        if scale == lab.scale.name:
            print(f"{called} is finished. Nothing to do.")
            return True
        raise UsageError(f"{folder} holds a result of scale={scale}: expected another --output")
    print(f"{called}: {chosen.items}")
    start = time.monotonic()
    try:
        outcome = chosen.load()(lab)
    except Exception as error:
        if alone:
            raise
        if not isinstance(error, UsageError):
            traceback.print_exc()
        print(f"{called} failed: {error}", file=sys.stderr)
        return False
    outcome.write(
        folder,
        experiment=name,
        items=chosen.items,
        shows=chosen.shows,
        dataset=lab.dataset,
        scale=lab.scale.name,
        seconds=round(time.monotonic() - start, 1),
        command=_command(name, lab, output),
        versions=versions(),
    )
    write_page(output)
    print(outcome.prose())
    return True


def _command(name: str, lab: Lab, output: Path) -> str:
    asked = {"experiment": name, "scale": lab.scale.name, "dataset": lab.dataset, "output": output}
    return shlex.join(["zoo-paper", *(f"--{k}={v}" for k, v in asked.items() if v)])


def run() -> None:
    """Entry point."""
    program.run_program(main, define, __doc__)


if __name__ == "__main__":
    run()
