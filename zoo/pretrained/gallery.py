"""The gallery: what the models that come with the zoo draw, and how they measure.

    python -m zoo.pretrained.gallery docs/gallery.md

writes the page, and the pictures into the folder beside it that is called like it: one of all
models of a data set, and one of each model.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from zoo import pretrained
from zoo.evaluation.subject.subject import Subject
from zoo.evaluation.subject.walks import point_codes, slerp
from zoo.figures import panels
from zoo.markdown import table
from zoo.pictures import grid, save_picture, save_png
from zoo.pixels import as_floats, as_levels
from zoo.records import shown
from zoo.run import Run

COLUMNS, ROWS = 12, 4  # of the grid of samples; chosen
ALL_COLUMNS = 20  # of the picture of all models; chosen
SCALE = 2  # pixels of the page for each of an image; chosen
SHOWN = (
    "inception_score",
    "fid",
    "precision",
    "recall",
    "ms_ssim_diversity",
    "marginal_kl",
    "reconstruction_mse",
)

_HEAD = f"""\
# Gallery

The trained models that come with the zoo: `zoo.from_pretrained(NAME)`, and `--pretrained=NAME` of
`zoo-sample`, `zoo-evaluate`, `zoo-encode`, `zoo-export` and `zoo-serve`. `zoo-sample
--list_pretrained` prints their names. This page is written by
`python -m zoo.pretrained.gallery docs/gallery.md`.

In the picture of all: a row of samples each, of seed 0, which gives all models of one latent size
and of the prior N(0, I) the same codes, with their Inception Scores. In each further picture:
{ROWS} rows of samples, of the same seed; where the model has an encoder, {COLUMNS} images of the
test split above their reconstructions, and the walk between the first two of these.
"""


def gallery(page: Path) -> str:
    """The page; writes its pictures.

    Raises:
        UsageError: a pretrained model is damaged.
    """
    sections = [_HEAD]
    for data, names in _by_data().items():
        cards = {name: pretrained.card_of(name) for name in names}
        runs = {name: pretrained.open_pretrained(name) for name in names}
        source = next(iter(cards.values()))["data_source"]
        folder = page.with_suffix("")
        save_picture(folder / f"{data}.png", overview(cards, runs))
        together = f"![test images, and samples of every model]({folder.name}/{data}.png)"
        sections.append(f"## {data}\n\nData: {source}.\n\n{together}\n\n{_table(cards)}")
        for name, card in cards.items():
            file = f"{name.replace('/', '-')}.png"
            save_png(folder / file, picture(runs[name]), SCALE)
            link = f"{folder.name}/{file}"
            sections.append(f"### `{name}`\n\n![{name}]({link})\n\n{_about(card)}")
    return "\n".join(sections)


def overview(cards: Mapping[str, dict[str, Any]], runs: Mapping[str, Run]) -> Figure:
    """A row of test images, and one of samples of each model with its Inception Score, if any."""
    first = next(iter(runs))
    rows = [as_floats(runs[first].dataset.split("test").some(ALL_COLUMNS).images)]
    names = ["test images"]
    scores = [_cell(_figures(cards[first]), "inception_score_data")]
    for name, run in runs.items():
        rows.append(Subject.of_run(run).all("sample", seed=0, count=ALL_COLUMNS)["images"])
        names.append(_short(name))
        scores.append(_cell(_figures(cards[name]), "inception_score"))
    pixels = grid(as_floats(as_levels(np.concatenate(rows))), ALL_COLUMNS)
    figure, (axis,) = panels(1, size=(9.0, 0.42 * len(rows)))
    axis.imshow(pixels)
    centres = (np.arange(len(rows)) + 0.5) * pixels.shape[0] / len(rows)
    axis.set_xticks([])
    axis.set_yticks(centres, names)
    right = axis.secondary_yaxis("right")
    right.set_yticks(centres, scores)
    right.tick_params(labelsize=8, length=0)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    right.spines[:].set_visible(False)
    return figure


def picture(run: Run) -> np.ndarray:
    """Samples, reconstructions and an interpolation, uint8 `[rows, columns, C]`."""
    subject = Subject.of_run(run)
    images = []
    if "sample" in subject.functions:
        images += [subject.all("sample", seed=0, count=ROWS * COLUMNS)["images"]]
    if {"encode", "decode"} <= subject.functions.keys():
        originals = run.dataset.split("test").some(COLUMNS).images
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
    """The figures of these models, and those of the data themselves; of what none was measured,
    there is no column."""
    figures = {name: _figures(card) for name, card in cards.items()}
    told = [metric for metric in SHOWN if any(metric in of_model for of_model in figures.values())]
    own = next(iter(figures.values()))
    rows = [("the data", "", *(_cell(own, f"{metric}_data") for metric in told))]
    for name, card in cards.items():
        cells = [_cell(figures[name], metric) for metric in told]
        rows.append((f"`{_short(name)}`", f"{card['step']:,}", *cells))
    return table(("model", "steps", *told), rows)


def _short(name: str) -> str:
    return name.partition("/")[2]


def _figures(card: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Those of a model, by metric."""
    return {figure["metric"]: figure for figure in card["figures"]}


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
