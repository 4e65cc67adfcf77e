"""The overview of the models (Rosca et al. 2018, Figure 7), from what each states about itself."""

from __future__ import annotations

from zoo.models import model_class
from zoo.models.inference import Matching
from zoo.registry import MODELS

_COLUMNS = ("model", "visible space", "latent space", "decoder", "posterior", "bound")


def overview() -> str:
    """A Markdown table: a row per model, and one per posterior that changes what it matches."""
    rows: list[tuple[str, ...]] = [_COLUMNS]
    for name in MODELS:
        cls = model_class(name)
        ways: dict[Matching, list[str]] = {}
        for posterior in cls.posteriors or ("",):
            ways.setdefault(cls.matching_of(posterior), []).append(posterior)
        for m, posteriors in ways.items():
            among = ", ".join(f"`{p}`" for p in posteriors) if len(ways) > 1 else ""
            way = f"`{name}`" + (f", {among}" if among else "")
            rows.append((way, m.visible, m.latent, m.decoder, m.posterior, m.bound_status))
    widths = [max(len(row[i]) for row in rows) for i in range(len(_COLUMNS))]
    rows.insert(1, tuple("-" * width for width in widths))
    cells = ((c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)
