"""The overview of the models (Rosca et al. 2018, Figure 7), from what each states about itself.

    python -m zoo.models.overview README.md

writes it between the marks of a page.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from zoo.markdown import line
from zoo.models import model_class
from zoo.models.matching import Matching
from zoo.registry import MODELS

COMMAND = "python -m zoo.models.overview README.md"
BEGIN = f"<!-- models: written by `{COMMAND}` -->"
END = "<!-- end of models -->"

_COLUMNS = ("model", "visible space", "latent space", "decoder", "posterior", "bound")


def overview() -> str:
    """A Markdown table: a row per model, and one per posterior or prior that changes what it
    matches."""
    rows: list[tuple[str, ...]] = [_COLUMNS]
    for name in MODELS:
        cls = model_class(name)
        ways: dict[Matching, list[str]] = {}
        for posterior in cls.posteriors or ("",):
            ways.setdefault(cls.matching_of(posterior), []).append(posterior)
        for prior in cls.priors[1:]:
            ways.setdefault(cls.matching_of(None, prior), []).append(f"prior={prior}")
        for m, settings in ways.items():
            among = ", ".join(f"`{s}`" for s in settings) if len(ways) > 1 else ""
            way = f"`{name}`" + (f", {among}" if among else "")
            rows.append((way, m.visible, m.latent, m.decoder, m.posterior, m.bound_status))
    widths = [max(len(row[i]) for row in rows) for i in range(len(_COLUMNS))]
    rows.insert(1, tuple("-" * width for width in widths))
    cells = ((c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows)
    return "".join(map(line, cells)).removesuffix("\n")


def with_overview(page: str) -> str:
    """A page with the table between its marks as it is now.

    Raises:
        ValueError: it has no such marks.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"the page has no place for the table: expected {BEGIN} and {END}")
    return f"{before}{begin}\n\n{overview()}\n\n{end}{after}"


def main(pages: Sequence[str]) -> None:
    """Brings these files up to date."""
    for file in map(Path, pages):
        file.write_text(with_overview(file.read_text()))


if __name__ == "__main__":
    main(sys.argv[1:])
