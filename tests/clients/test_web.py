"""The page of `zoo-export --format=saved_model,web` in Chromium, from a server of files alone."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.clients.conftest import PIXELS, file_server, other_than, ready
from zoo.export import web
from zoo.export.saved_model import export_saved_model
from zoo.pretrained import open_pretrained

pytestmark = pytest.mark.clients

RUNTIME = Path(__file__).parents[2] / web.RUNTIME_FOLDER
# The pixels of each canvas below an element.
SHOWN = """(all) => all.map((canvas) => [...canvas.getContext("2d")
    .getImageData(0, 0, canvas.width, canvas.height).data])"""


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    """The export of a model that comes with the zoo."""
    return export_saved_model(
        open_pretrained("color_mnist_mini/vae"),
        tmp_path_factory.mktemp("web"),
        "vae",
        signatures=["decode", "encode", "sample"],
        formats=["saved_model", "web"],
        web_runtime=RUNTIME,
    )


@pytest.fixture(scope="module")
def page_of(version):
    with file_server(version / web.FOLDER) as origin:
        yield f"{origin}/"


@pytest.fixture(scope="module")
def signatures(version):
    return tf.saved_model.load(str(version)).signatures


def levels(pixels):
    """Grey levels `[N, H, W, 3]` of canvases."""
    return np.reshape(pixels, (len(pixels), 28, 28, 4))[..., :3]


def furthest(pixels, images):
    """Grey levels between canvases and images in [0, 1], each at its worst `[N]`."""
    return np.abs(levels(pixels) - 255 * images.numpy()).max(axis=(1, 2, 3))


def test_a_code_has_the_picture_of_the_saved_model(page_of, look, signatures):
    with look(page_of, 400) as page:
        drawn = ready(page).evaluate(PIXELS, "picture")
        page.click("#zero-code")
        shown = [other_than(page, drawn)]
        slider = page.locator("#sliders input").first
        assert float(slider.input_value()) == 0
        codes = np.zeros((2, 50), np.float32)
        codes[1, int(slider.get_attribute("aria-label").removeprefix("dimension "))] = 3
        images = signatures["decode"](z=tf.constant(codes))["images"]
        slider.fill("3")
        shown.append(other_than(page, shown[0]))
        assert (furthest(shown, images) <= 1).all()
        assert (furthest(shown[::-1], images) > 20).all()


def test_a_seed_has_the_sample_of_the_saved_model(page_of, look, signatures):
    with look(page_of, 1600) as page:
        shown = ready(page).locator("#grid canvas").evaluate_all(SHOWN)
        seeds = tf.range(len(shown))
        images = signatures["sample"](seed=seeds)["images"]
        assert len(shown) == 16 and (furthest(shown, images) <= 1).all()
        assert (furthest(shown, tf.roll(images, 1, axis=0)) > 20).all()
        page.fill("#seed", "2147483000")
        page.keyboard.press("Tab")
        page.wait_for_function("document.querySelector('#grid').textContent.startsWith('2147483')")
        shown = page.locator("#grid canvas").evaluate_all(SHOWN)
        images = signatures["sample"](seed=2147483000 + seeds)["images"]
        assert (furthest(shown, images) <= 1).all()


def test_an_image_has_the_reconstruction_of_the_saved_model(page_of, look, signatures, photo):
    with look(page_of) as page:
        ready(page).set_input_files("#file", [photo("a.png"), photo("b.png")])
        page.locator(".reading").nth(1).wait_for()
        shown = page.locator("#seen canvas").evaluate_all(SHOWN)
        given = tf.constant(levels(shown[::2]) / 255, tf.float32)
        images = signatures["decode"](z=signatures["encode"](images=given)["z"])["images"]
        assert (furthest(shown[1::2], images) <= 1).all()
        assert (furthest(shown[::2], images) > 20).all()
        assert page.locator("dt").count() == 0  # its bound would take more files
