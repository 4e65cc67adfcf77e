"""The page of zoo-serve in Chromium: what a visitor does, and what he sees."""

import contextlib
import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.conftest import PIXELS, VAE, file_server, other_than, ready
from tests.export.runs import make_run
from zoo.export.saved_model import export_saved_model
from zoo.export.serving.server import Server

pytestmark = pytest.mark.clients

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def trained():
    """Where zoo-serve, as a process, serves a model that comes with the zoo."""
    command = [sys.executable, "-m", "zoo.flags.serve", "--pretrained=color_mnist_mini/vae"]
    command += ["--rest_port=0", "--grpc_port=0"]
    with subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield re.search(r"page (http://\S+/),", process.stdout.readline())[1]
        process.terminate()


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Serves the tiny export of a model, some of its signatures; gives the address of its page."""
    root = tmp_path_factory.mktemp("live")

    @functools.cache
    def export(model, *signatures):
        name = "-".join([model, *signatures])
        run = make_run(root / "runs" / name, {"model": model})
        return export_saved_model(run, root / "served", name, signatures=signatures or None).parent

    with contextlib.ExitStack() as running:

        def start(*exported, origins=()):
            server = running.enter_context(Server(export(*exported), allow_origins=origins))
            return f"http://127.0.0.1:{server.rest_port}/"

        yield start


@pytest.mark.parametrize("width", [400, 800, 1600])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_moved_slider_shows_other_pixels(trained, look, width, scheme):
    with look(trained, width, color_scheme=scheme) as page:
        before = ready(page).evaluate(PIXELS, "picture")
        sliders = page.locator("#sliders input:visible")
        assert sliders.count() == 10
        first = sliders.first
        first.fill("3" if float(first.input_value()) < 0 else "-3")
        after = other_than(page, before)
        assert max(abs(a - b) for a, b in zip(after, before, strict=True)) > 20
        assert re.fullmatch(r"decoded in \d+ ms", page.text_content("#time"))


def test_by_keyboard_alone(trained, look):
    with look(trained) as page:
        before = ready(page).evaluate(PIXELS, "picture")
        page.locator("#new-code").focus()
        page.keyboard.press("Enter")
        before = other_than(page, before)
        page.locator("#sliders input").first.focus()
        value = page.locator("#sliders input").first.input_value()
        page.keyboard.press("Home" if float(value) > 0 else "End")
        other_than(page, before)
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.type") == "range"


def test_by_touch(trained, look):
    with look(trained, 400, has_touch=True, is_mobile=True) as page:
        before = ready(page).evaluate(PIXELS, "picture")
        page.locator("#new-code").tap()
        before = other_than(page, before)
        slider = page.locator("#sliders input").first
        box = slider.bounding_box()
        share = 0.9 if float(slider.input_value()) < 0 else 0.1
        slider.tap(position={"x": box["width"] * share, "y": box["height"] / 2})
        other_than(page, before)


def test_samples_follow_the_seed_and_go_to_the_sliders(trained, look):
    from playwright.sync_api import expect

    with look(trained) as page:
        tiles = ready(page).locator("#grid button")
        assert tiles.count() == 16 and tiles.first.text_content() == "0"
        shown = page.evaluate(PIXELS, "picture")
        tiles.nth(3).click()
        taken = other_than(page, shown)
        page.click("#seeds-after")
        expect(tiles.first).to_have_text("16")
        page.fill("#seed", "3")
        page.keyboard.press("Tab")
        expect(tiles.first).to_have_text("3")
        page.click("#zero-code")
        other_than(page, taken)
        tiles.first.click()  # the same seed, so the same picture
        page.wait_for_function(
            f"(taken) => String(({PIXELS})('picture')) === taken", arg=",".join(map(str, taken))
        )


def test_an_image_is_read_back_with_its_bound(trained, look, photo):
    with look(trained) as page:
        ready(page).set_input_files("#file", [photo("<b>a.png")])
        page.wait_for_selector(".reading")
        assert page.locator("#seen figcaption").all_text_contents() == [
            "<b>a.png",
            "reconstruction",
        ]
        terms = dict(
            zip(
                page.locator("dt").all_text_contents(),
                page.locator("dd").all_text_contents(),
                strict=True,
            )
        )
        numbers = {term: float(value.removesuffix(" nats")) for term, value in terms.items()}
        difference = numbers["log-likelihood"] - numbers["KL"]
        assert numbers["ELBO"] == pytest.approx(difference, abs=0.02)
        assert page.locator(".bars rect").count() == 50
        before = page.evaluate(PIXELS, "picture")
        page.get_by_role("button", name="To the sliders").click()
        other_than(page, before)


def test_two_images_are_the_ends_of_a_walk(trained, look, photo):
    with look(trained) as page:
        before = ready(page).evaluate(PIXELS, "between")
        page.set_input_files("#file", [photo("a.png"), photo("b.jpg", 80, 30)])
        middle = other_than(page, before, "between")
        for many, last in ((".reading", 1), ("#strip button", 8)):  # in whichever order they come
            page.locator(many).nth(last).wait_for(state="attached")
            assert page.locator(many).count() == last + 1
        page.locator("#position").fill("0")
        other_than(page, middle, "between")


def test_a_dropped_file_that_is_no_image_is_told(trained, look, tmp_path):
    (tmp_path / "notes.png").write_text("no image")
    with look(trained) as page:
        ready(page).set_input_files("#file", [tmp_path / "notes.png"])
        page.wait_for_selector("#trouble:visible")
        assert page.text_content("#trouble") == "notes.png cannot be read as an image"


SECTIONS = {
    ("dcgan",): {"codes", "samples", "walk"},
    (VAE, "decode"): {"codes"},
    (VAE, "sample"): {"samples"},
    (VAE, "encode"): {"images"},
    (VAE, "decode", "encode"): {"codes", "images"},
}


@pytest.mark.parametrize(("export", "sections"), SECTIONS.items(), ids=map("-".join, SECTIONS))
def test_what_the_model_lacks_is_not_offered(served, look, export, sections, photo):
    with look(served(*export)) as page:
        ready(page)
        shown = page.locator("section:visible").evaluate_all("all => all.map((s) => s.id)")
        assert set(shown) == sections
        assert page.locator("#new-code").is_visible() == ({"codes", "samples"} <= sections)
        if "images" in sections:
            page.set_input_files("#file", [photo("a.png")])
            page.wait_for_selector(".reading")
            assert page.locator(".reading canvas").count() == 1 + ("codes" in sections)
            assert page.locator("dt").count() == 0  # it has no bound


CALL = """(url) => fetch(url + "v1/models/vae-decode:predict", {method: "POST",
    headers: {"Content-Type": "application/json"}, body: '{"inputs": {"z": [[0, 0, 0]]}}'})
    .then(async (answer) => (await answer.json()).outputs.length, () => "refused")"""


@pytest.mark.parametrize(("allowed", "answer"), [(True, 1), (False, "refused")])
def test_a_page_of_another_server_calls_where_it_may(served, browser, tmp_path, allowed, answer):
    """The browser asks first, since the call sends JSON."""
    (tmp_path / "index.html").write_text("<!doctype html><title>elsewhere</title>")
    with file_server(tmp_path) as origin, browser.new_context() as context:
        page = context.new_page()
        page.goto(origin)
        own = served(VAE, "decode", origins=[origin] if allowed else [])
        assert page.evaluate(CALL, own) == answer
