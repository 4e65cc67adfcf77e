"""zoo-report: writes report.html of a run, one self-contained page.

zoo-report --run_dir=runs/vae
"""

from __future__ import annotations

from absl import flags

from flags import program
from zoo.run import Run


def define(values: flags.FlagValues) -> None:
    """Flags of zoo-report."""
    program.define_shared(values, "run_dir")


def main(values: flags.FlagValues) -> None:
    """Reports."""
    program.exactly_one(values, "run_dir")
    run = Run.open(values.run_dir)
    from zoo.report import write_report

    print(f"wrote {write_report(run)}")


def run() -> None:
    """Entry point."""
    program.run_program(main, define, __doc__)


if __name__ == "__main__":
    run()
