"""Exports that the foreign clients load, each made once per session, with the portable bundle; a
browser, and what is seen in it."""

import contextlib
import functools
import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from tests.export.runs import make_run
from tests.models import variants
from tests.models.variants import variant_id
from zoo.export.saved_model import export_saved_model

EXPORTED = {variant_id(v): v for v in variants.EXPORTED}
VAE = "vae"


@pytest.fixture(scope="session")
def export(tmp_path_factory):
    """The version folder of the export of a variant, by name."""
    root = tmp_path_factory.mktemp("clients")

    @functools.cache
    def folder(name):
        run = make_run(root / "runs" / name, EXPORTED[name])
        formats = ("saved_model", "onnx", "tflite")
        return export_saved_model(run, root / "served", name, formats=formats)

    return folder


# What Debian calls it, and what others do.
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def browser():
    """The system's Chromium, without a window."""
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, CHROMIUM)), None)
    assert program, f"needed is one of {', '.join(CHROMIUM)}: as apt-get install chromium"
    with sync_playwright() as playwright:
        # Its own sandbox wants namespaces, which containers and root do not have.
        running = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def look(browser):
    """Opens a page, and asserts at the end that nothing of it failed: no error in its console, no
    request refused or sent elsewhere, no picture broken, nothing wider than the window."""

    @contextlib.contextmanager
    def look(url, width=1000, **options):
        size = {"width": width, "height": 900}
        with browser.new_context(viewport=size, **options) as context:
            page, said, asked = context.new_page(), [], []
            page.on("console", lambda m: said.append(m.text) if m.type == "error" else None)
            page.on("pageerror", lambda error: said.append(("exception", str(error))))
            page.on("requestfailed", lambda request: said.append(("failed", request.url)))
            page.on("request", lambda request: asked.append(request.url))
            page.goto(url)
            yield page
            page.wait_for_load_state("networkidle")
            assert said == []
            origin = url.partition("?")[0].rpartition("/")[0]
            assert [place for place in asked if not place.startswith((origin, "data:"))] == []
            assert page.evaluate(BROKEN) == []
            assert page.evaluate("document.documentElement.scrollWidth") <= width

    return look


BROKEN = """[...document.images].filter((image) => !(image.complete && image.naturalWidth))
    .map((image) => image.alt)"""


@contextlib.contextmanager
def file_server(folder):
    """The origin of a server of a folder's files that knows nothing of ours."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def photo(tmp_path, rng):
    """Files with images that are not of the model's size."""

    def write(name, height=40, width=60):
        file = tmp_path / name
        Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(file)
        return file

    return write


PIXELS = """(id) => { const canvas = document.getElementById(id);
    return [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data]; }"""


def ready(page):
    page.wait_for_selector("body[data-ready]")
    return page


def other_than(page, before, canvas="picture"):
    """The pixels of a canvas once they are others than `before`."""
    changed = f"(before) => String(({PIXELS})('{canvas}')) !== before"
    page.wait_for_function(changed, arg=",".join(map(str, before)))
    return page.evaluate(PIXELS, canvas)
