"""The overview of the models (Rosca et al. 2018, Figure 7), from what each states about itself."""

from __future__ import annotations

from zoo.models import MODELS, model_class

_COLUMNS = ("model", "visible space", "latent space", "decoder", "posterior", "bound")


def overview() -> str:
    """A Markdown table: a row per model, and one per posterior that changes what it matches."""
    rows = [_COLUMNS]
    for name in MODELS:
        cls = model_class(name)
        ways = {f"`{name}`": cls.matching}
        ways |= {f"`{name}`, `{p}`": m for p, m in cls.matching_by_posterior.items()}
        rows += [
            (way, m.visible, m.latent, m.decoder, m.posterior, m.bound) for way, m in ways.items()
        ]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_COLUMNS))]
    rows.insert(1, tuple("-" * width for width in widths))
    cells = ((c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)
