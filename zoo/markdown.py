"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(columns: Sequence[str], rows: Iterable[Sequence[str]] = ()) -> str:
    """A head of `columns`, and a line of each of `rows`."""
    return "".join(map(line, (columns, ("---",) * len(columns), *rows)))


def line(cells: Iterable[str]) -> str:
    """One line of a table, which ends in a line break."""
    return f"| {' | '.join(cells)} |\n"
