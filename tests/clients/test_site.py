"""The documentation's site: it builds without a warning, loads nothing from elsewhere, and has a
page for every part."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from zoo.registry import MODELS

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.clients


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = (sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder)
    surroundings = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=ROOT, env=surroundings, check=True, timeout=280)
    return folder


def test_nothing_is_loaded_from_elsewhere(site):
    for page in site.rglob("*.html"):
        text = page.read_text()
        loaded = re.findall(r"<(?:script|img|iframe)[^>]*src=\"([^\"]*)", text)
        loaded += re.findall(
            r"<link[^>]*rel=\"(?:stylesheet|icon|preload)[^>]*href=\"([^\"]*)", text
        )
        assert loaded and not [link for link in loaded if "//" in link]
    assert not [
        f for f in site.rglob("*.css") if re.search(r"url\([\"']?(https?:)?//", f.read_text())
    ]


def test_every_model_and_program_has_its_place(site):
    models, programs = (
        (site / page).read_text() for page in ("models/index.html", "programs.html")
    )
    for path in MODELS.values():
        assert f'id="{path}"' in models
    for program in ("zoo-train", "zoo-fit-prior", "zoo-serve"):
        assert f'id="{program}"' in programs
    assert "<code>--likelihood</code>" in programs


def test_pages_of_the_repository_are_pages(site):
    start = (site / "index.html").read_text()
    assert 'href="gallery.html"' in start and "docs/gallery.md)" not in start
    assert "kl_schedule" in (site / "changelog.html").read_text()
