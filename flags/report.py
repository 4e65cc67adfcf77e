"""zoo-report: writes report.html of a run, or of all runs below a folder, one self-contained page.

zoo-report --run_dir=runs/vae
zoo-report --runs=runs
zoo-report --evaluation=gan.json

The last writes gan.html, about what zoo-evaluate measured of a SavedModel or of images.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from zoo.errors import UsageError
from zoo.files import check_writable
from zoo.flags import paths, program, sources


def define(values: flags.FlagValues) -> None:
    """Flags of zoo-report."""
    program.define_shared(values, "run_dir")
    paths.define_path("runs", None, "Folder with runs below it.", flag_values=values)
    help = "File that zoo-evaluate --output wrote."
    paths.define_path("evaluation", None, help, flag_values=values)
    help = "Draw samples, reconstructions and walks from the weights of the runs; takes longer."
    flags.DEFINE_bool("draw", True, help, flag_values=values)


def main(values: flags.FlagValues) -> None:
    """Reports."""
    source = program.exactly_one(values, "run_dir", "runs", "evaluation")
    if source == "runs" and not Path(values.runs).is_dir():
        raise UsageError(f"runs={values.runs} is not accepted: expected a folder")
    place = Path(values[source].value)
    if source == "evaluation" and not place.is_file():
        raise UsageError(f"evaluation={place} is not accepted: expected a file of zoo-evaluate's")
    run = sources.run_of(values)
    target = place.with_suffix(".html") if source == "evaluation" else place / "report.html"
    check_writable(target)
    program.start_tensorflow()
    from zoo.report import write_evaluation, write_overview, write_report

    if run is not None:
        written = write_report(run, values.draw)
    elif source == "runs":
        written = write_overview(place, values.draw)
    else:
        written = write_evaluation(place)
    print(f"wrote {written}")


def run() -> None:
    """Entry point."""
    program.run_program(main, define, __doc__)


if __name__ == "__main__":
    run()
