"""The Python of the pages, run as it stands there but for the length of trainings; that of
CONTRIBUTING.md is test_additions.py's."""

import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
LENGTHS = ((r"steps=1000", "steps=2"), (r"steps=2000", "steps=4"), (r"epochs=\d+", "epochs=1"))
# Pages, and what their code takes from the reader: images of this shape.
PAGES = {
    "README.md": (28, 28, 3),
    "docs/data.md": (28, 28, 3),
    "docs/networks.md": (16, 24, 1),
    "docs/python.md": (28, 28, 3),
}


def blocks(page):
    return BLOCK.findall((ROOT / page).read_text())


def shortened(code):
    for pattern, short in LENGTHS:
        code = re.sub(pattern, short, code)
    return code


class Tracker(types.ModuleType):
    """Stands in for wandb, which needs an account: what a run logs."""

    def __init__(self):
        super().__init__("wandb")
        self.logged = []

    def init(self, **_):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def log(self, logs, step):
        self.logged.append((step, logs))


def test_no_page_is_forgotten():
    pages = [
        p for p in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")) if BLOCK.search(p.read_text())
    ]
    elsewhere = {"CONTRIBUTING.md", "docs/serving.md"}
    assert {str(page.relative_to(ROOT)) for page in pages} == {*PAGES, *elsewhere}


@pytest.mark.parametrize("page", PAGES)
def test_it_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tracker = Tracker()
    monkeypatch.setitem(sys.modules, "wandb", tracker)
    images = np.random.default_rng(0).integers(0, 256, (40, *PAGES[page]), np.uint8)
    (tmp_path / "shards").mkdir()
    for i, part in enumerate(np.split(images, 2)):
        np.save(tmp_path / "shards" / f"{i}.npy", part)
    namespace = {"images": images, "array": images, "held_out": images[:8]}
    namespace["labels"] = np.arange(len(images)) % 3
    exec("import zoo", namespace)
    for code in blocks(page):
        exec(compile(shortened(code), page, "exec"), namespace)
    if "runs" in "".join(blocks(page)):
        folders = [path.parent for path in tmp_path.rglob("config.json")]
        assert folders and all((folder / "checkpoints").is_dir() for folder in folders)
