"""The overview of the models (Rosca et al. 2018, Figure 7), from what each states about itself."""

from __future__ import annotations

from zoo.models import MODELS, model_class

_COLUMNS = ("model", "visible space", "latent space", "decoder", "posterior", "bound")


def overview() -> str:
    """A Markdown table with one row per model."""
    rows = [_COLUMNS]
    for name in MODELS:
        m = model_class(name).matching
        rows.append((f"`{name}`", m.visible, m.latent, m.decoder, m.posterior, m.bound))
    widths = [max(len(row[i]) for row in rows) for i in range(len(_COLUMNS))]
    rows.insert(1, tuple("-" * width for width in widths))
    cells = ((c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)
