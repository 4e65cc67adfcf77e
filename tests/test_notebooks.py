"""The notebooks: each runs from its first cell to its last, and shows what is committed of it."""

import base64
import io
import math
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image

from notebooks import execute

LARGEST = 400e3  # bytes of a file
NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?\b")
# Another processor rounds elsewhere, and a training goes its own way from there.
SHARE, NATS = 0.3, 0.3


def committed(name):
    return nbformat.read(execute.FOLDER / name, as_version=4)


def outputs(notebook):
    """Of each cell: what its outputs are, and the texts and the pictures among them."""
    return [cell.get("outputs", []) for cell in notebook.cells]


def kinds(notebook):
    return [
        [(o.output_type, *sorted(o.get("data", {}))) for o in cell] for cell in outputs(notebook)
    ]


def texts(notebook):
    streams = [o.text for cell in outputs(notebook) for o in cell if o.output_type == "stream"]
    return [" ".join(text.split()) for text in streams]


def pictures(notebook):
    files = [
        o.data["image/jpeg"]
        for c in outputs(notebook)
        for o in c
        if "image/jpeg" in o.get("data", {})
    ]
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(file)))) for file in files]


def alike(one, other):
    """Whether two texts are the same but for what their numbers may differ by."""
    if NUMBER.sub("#", one) != NUMBER.sub("#", other):
        return False
    pairs = zip(NUMBER.findall(one), NUMBER.findall(other), strict=True)
    return all(math.isclose(float(a), float(b), rel_tol=SHARE, abs_tol=NATS) for a, b in pairs)


def test_there_are_the_five_of_them():
    assert [name.split("_")[0] for name in execute.names()] == list("12345")


@pytest.mark.parametrize("name", execute.names())
def test_what_is_committed_is_a_clean_run(name):
    notebook = committed(name)
    nbformat.validate(notebook)
    file = execute.FOLDER / name
    assert file.stat().st_size < LARGEST
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert sum(map(len, outputs(notebook))) >= len(cells) / 2
    assert all(
        o.get("name") != "stderr" and o.output_type != "error" for c in outputs(notebook) for o in c
    )
    shown = [o.data.get("text/plain", "") for c in outputs(notebook) for o in c if "data" in o]
    said = "\n".join([*(cell.source for cell in notebook.cells), *texts(notebook), *shown])
    for place in (str(execute.ROOT), str(Path.home()), "/tmp", "/usr"):
        assert place not in said
    assert execute.normalised(committed(name)) == notebook


@pytest.mark.parametrize("name", execute.names())
def test_links_lead_somewhere(name):
    prose = "\n".join(cell.source for cell in committed(name).cells if cell.cell_type == "markdown")
    links = re.findall(r"\]\(([^()\s#]+)[^()\s]*\)", prose)
    assert links
    assert [link for link in links if not (execute.FOLDER / link).exists()] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", execute.names())
def test_it_runs_and_shows_what_is_committed(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before, after = committed(name), execute.execute(name)
    assert kinds(after) == kinds(before)
    for one, other in zip(texts(after), texts(before), strict=True):
        assert alike(one, other), f"{one}\n\nis now what was\n\n{other}"
    for one, other in zip(pictures(after), pictures(before), strict=True):
        assert one.std() > 1  # not blank
        assert np.abs(np.subtract(one.shape, other.shape)).max() <= 20  # of labels' widths
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("kl 14.42 ± 0.004 n=500", "kl 14.5 ± 0.1 n=500", True),
        ("kl 14.42", "kl 24.42", False),
        ("kl 14.42", "elbo 14.42", False),
        ("kl 14.42", "kl 14.42 14.42", False),
        ("(8, 8, 1)", "(8, 8, 3)", False),
        ("the same: True", "the same: False", False),
    ],
)
def test_texts_are_compared_by_words_and_roughly_by_numbers(one, other, same):
    assert alike(one, other) == same
