"""zoo-report: writes report.html of a run, or of all runs below a folder, one self-contained page.

zoo-report --run_dir=runs/vae
zoo-report --runs=runs
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from zoo.errors import UsageError
from zoo.files import check_writable
from zoo.flags import paths, program
from zoo.run import Run


def define(values: flags.FlagValues) -> None:
    """Flags of zoo-report."""
    program.define_shared(values, "run_dir")
    paths.define_path("runs", None, "Folder with runs below it.", flag_values=values)


def main(values: flags.FlagValues) -> None:
    """Reports."""
    source = program.exactly_one(values, "run_dir", "runs")
    if source == "runs" and not Path(values.runs).is_dir():
        raise UsageError(f"runs={values.runs} is not accepted: expected a folder")
    run = Run.open(values.run_dir) if source == "run_dir" else None
    check_writable((run.path if run else Path(values.runs)) / "report.html")
    from zoo.report import write_overview, write_report

    print(f"wrote {write_report(run) if run else write_overview(Path(values.runs))}")


def run() -> None:
    """Entry point."""
    program.run_program(main, define, __doc__)


if __name__ == "__main__":
    run()
