"""The pages of zoo-report in Chromium: narrow and wide, light and dark, and printed."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from tests.flags.in_process import call
from tests.models.training import trained
from tests.models.variants import TINY
from tests.report.conftest import measured, record
from zoo.config import RunConfig
from zoo.data import load_dataset
from zoo.pictures import save_png
from zoo.run import Run

pytestmark = pytest.mark.clients

METRICS = ("elbo", "kl", "marginal_kl", "population_kl_upper_unseen", "inception_score_corrected")
ODD = "<img src=x onerror=alert(1)>"
PAGES = ("run", "comparison")


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Addresses of the pages of a run and of three, by the program; names and texts are odd."""
    folder = tmp_path_factory.mktemp("pages")
    for number, name in enumerate((ODD, "a_rather_long_name_" * 3, "$c$")):
        config = RunConfig.create(**TINY, kl_weight=1.0 + number)
        fingerprint = load_dataset(config.data).fingerprint
        run = Run.create_or_resume(folder / name, config, fingerprint, (28, 28, 3))
        run.checkpoints.save(trained({"model": "vae"}, 1))
        for step in (1000, 100_000):
            line = {"elbo": -1.0 * step, "kl": 2.0, ODD: 1.0, "validation_elbo": -1.5 * step}
            run.log({"step": step, **line})
        save_png(run.path / "images" / "samples-00001000.png", np.zeros((238, 238, 3), np.uint8))
        records = [record(m, 10.5 + number, warnings=[ODD], asked={"metric": m}) for m in METRICS]
        data = record("inception_score_corrected_data", 20.0, asked=records[-1]["asked"])
        save_png(run.path / "evaluation" / "wide.png", np.zeros((20, 900, 3), np.uint8))
        wide = {"file": "evaluation/wide.png", "caption": ODD, "asked": {"metric": "elbo"}}
        measured(run, *records, data, pictures=[wide])
    assert call("report", f"--run_dir={folder / ODD}") == 0
    assert call("report", f"--runs={folder}") == 0
    files = (folder / ODD / "report.html", folder / "report.html")
    return dict(zip(PAGES, (file.as_uri() for file in files), strict=True))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 800, 1600])
@pytest.mark.parametrize("name", PAGES)
def test_it_fits_and_nothing_fails(pages, look, name, width, scheme):
    with look(pages[name], width, color_scheme=scheme) as page:
        assert page.locator("img").count() >= 3 and page.locator(".panel svg").count() == 3
        paper, ink = page.evaluate(
            "['backgroundColor', 'color'].map((key) => getComputedStyle(document.body)[key])"
        )
        light = [sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in (paper, ink)]
        assert (light[0] > light[1]) == (scheme == "light")
        axis = page.locator(".panel svg text").first.evaluate("(e) => getComputedStyle(e).fill")
        assert axis == ink  # as the text around it
        for details in page.locator("details").all():
            details.locator("summary").click()
        assert page.locator("text=a < b & c").first.is_visible() == (name == "run")


def test_any_two_metrics(pages, look):
    with look(pages["comparison"]) as page:
        assert page.locator("#plot circle").count() == 3
        assert ODD in page.locator("#plot text").all_text_contents()[-3:]
        before = page.inner_html("#plot")
        page.select_option("#across", label="marginal_kl")
        assert page.inner_html("#plot") != before and "marginal_kl ↓" in page.text_content("#plot")


def test_it_prints(pages, browser):
    with browser.new_context(color_scheme="dark") as context:
        for address in pages.values():
            page = context.new_page()
            page.goto(address)
            assert page.pdf(format="A4").startswith(b"%PDF")
            page.emulate_media(media="print")
            with Image.open(io.BytesIO(page.screenshot())) as seen:
                assert seen.convert("RGB").getpixel((2, 2)) == (255, 255, 255)  # ink is dear
