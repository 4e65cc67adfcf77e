"""The gallery: what the models that come with the zoo draw, and how they measure.

    python -m zoo.pretrained.gallery docs/gallery.md

writes the page, and the pictures into the folder beside it that is called like it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo import pretrained
from zoo.evaluation.subject.subject import Subject
from zoo.evaluation.subject.walks import point_codes, slerp
from zoo.pictures import grid, save_png
from zoo.pixels import as_floats, as_levels
from zoo.records import shown
from zoo.run import Run

COLUMNS, ROWS = 12, 4  # of the grid of samples; chosen
SCALE = 2  # pixels of the page for each of an image; chosen
SHOWN = ("inception_score", "fid", "precision", "recall", "marginal_kl", "reconstruction_mse")

_HEAD = f"""\
# Gallery

The trained models that come with the zoo: `zoo.from_pretrained(NAME)`, and `--pretrained=NAME` of
`zoo-sample`, `zoo-evaluate`, `zoo-encode`, `zoo-export` and `zoo-serve`. `zoo-sample
--list_pretrained` prints their names. This page is written by
`python -m zoo.pretrained.gallery docs/gallery.md`.

In each picture: {ROWS} rows of samples, of seed 0, which gives all models of one latent size the
same codes; where the model has an encoder, {COLUMNS} images of the test split above their
reconstructions, and the walk between the first two of these.
"""


def gallery(page: Path) -> str:
    """The page; writes its pictures.

    Raises:
        UsageError: a pretrained model is damaged.
    """
    sections = [_HEAD]
    for data, names in _by_data().items():
        cards = {name: pretrained.card_of(name) for name in names}
        source = next(iter(cards.values()))["data_source"]
        sections.append(f"## {data}\n\nData: {source}.\n\n{_table(cards)}")
        for name, card in cards.items():
            file = page.with_suffix("") / f"{name.replace('/', '-')}.png"
            save_png(file, picture(pretrained.open_pretrained(name)), SCALE)
            link = f"{file.parent.name}/{file.name}"
            sections.append(f"### `{name}`\n\n![{name}]({link})\n\n{_about(card)}")
    return "\n".join(sections)


def picture(run: Run) -> np.ndarray:
    """Samples, reconstructions and an interpolation, uint8 `[rows, columns, C]`."""
    subject = Subject.of_run(run)
    images = []
    if "sample" in subject.functions:
        images += [subject.all("sample", seed=0, count=ROWS * COLUMNS)["images"]]
    if {"encode", "decode"} <= subject.functions.keys():
        originals = run.dataset.split("test").images[:COLUMNS]
        z = point_codes(subject, originals)
        between = slerp(z[0], z[1], COLUMNS)
        images += [as_floats(originals), subject.all("decode", z=z)["images"]]
        images += [subject.all("decode", z=between)["images"]]
    return grid(as_floats(as_levels(np.concatenate(images))), COLUMNS)


def _by_data() -> dict[str, list[str]]:
    """The names of the generative models, by data set."""
    found: dict[str, list[str]] = {}
    for name in pretrained.names():
        card = pretrained.card_of(name)
        if not card["is_an_instrument"]:
            found.setdefault(card["dataset"], []).append(name)
    return found


def _table(cards: Mapping[str, dict[str, Any]]) -> str:
    """The figures of these models, and those of the data themselves."""
    figures = {n: {f["metric"]: f for f in card["figures"]} for n, card in cards.items()}
    lines = [("model", "steps", *SHOWN), ("---",) * (2 + len(SHOWN))]
    own = next(iter(figures.values()))
    lines.append(("the data", "", *(_cell(own, f"{metric}_data") for metric in SHOWN)))
    for name, card in cards.items():
        cells = [_cell(figures[name], metric) for metric in SHOWN]
        lines.append((f"`{card['model']}`", f"{card['step']:,}", *cells))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(figures: Mapping[str, dict[str, Any]], metric: str) -> str:
    return shown(figures[metric], 4) if metric in figures else ""


def _about(card: Mapping[str, Any]) -> str:
    trained = (
        f"{card['step']:,} steps, {card['minutes_of_training']:.0f} minutes on {card['processor']}"
    )
    return f"{trained}. {card['limits']}\n"


def main(pages: Sequence[str]) -> None:
    """Writes the page."""
    for page in map(Path, pages):
        page.write_text(gallery(page), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
