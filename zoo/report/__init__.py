"""Self-contained pages about a run, about many, and about an evaluation; readable from anywhere."""

from zoo.report.comparison import write_overview
from zoo.report.single import write_evaluation, write_report

__all__ = ["write_evaluation", "write_overview", "write_report"]
