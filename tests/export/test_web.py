"""The page as static files, as far as it takes no browser; tests/clients opens it."""

import json
import re
from pathlib import Path

import pytest

from tests.flags.in_process import call
from tests.models.variants import tiny_model
from zoo.errors import UsageError
from zoo.export import formats, web
from zoo.export.saved_model import describe_all
from zoo.saved_model.signatures import signature_functions

ROOT = Path(__file__).parents[2]
RUNTIME = {"ort.wasm.bundle.min.mjs": b"export {};", "ort-wasm-simd-threaded.wasm": b"\0asm"}


@pytest.fixture
def runtime(tmp_path):
    """A folder with files of onnxruntime-web's names."""
    folder = tmp_path / "dist"
    folder.mkdir()
    for name, content in RUNTIME.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def written(tmp_path, runtime):
    """The page of a model that has all, in a folder."""
    shapes = {"z": {"shape": ["N", 3]}, "images": {"shape": ["N", 28, 28, 3]}}
    described = {name: {"inputs": shapes, "outputs": shapes} for name in ("decode", "encode")}
    page = web.describe_page('<b>"', "1", described, True)
    web.write_web(tmp_path, page, {"decode": b"d", "encode": b"e"}, runtime)
    return tmp_path / web.FOLDER


@pytest.mark.parametrize("name", RUNTIME)
def test_a_missing_runtime_is_told_with_what_gets_it(runtime, name, monkeypatch, capsys):
    monkeypatch.setattr(formats, "find_spec", lambda name: True)  # the converter's packages
    formats.require_formats(["saved_model", "web"], runtime)
    (runtime / name).unlink()
    formats.require_formats(["saved_model", "onnx"], runtime)
    told = f"web_runtime={runtime} has no {name}: expected the folder dist of onnxruntime-web, "
    told += f"as npm install onnxruntime-web@{web.RUNTIME_VERSION} leaves it in node_modules/"
    with pytest.raises(UsageError, match=f"^{re.escape(told)}"):
        formats.require_formats(["saved_model", "web"], runtime)
    given = ("--run_dir=nowhere", "--output=served", "--name=vae", f"--web_runtime={runtime}")
    assert call("export", *given, "--format=saved_model,web") == 2
    assert told in capsys.readouterr().err


def test_the_page_has_all_that_it_names(written):
    files = {file.name: file.read_bytes() for file in written.iterdir()}
    page = files["index.html"].decode()
    assert 'content="&lt;b&gt;&quot;"' in page and "{{" not in page
    named = set(re.findall(r'(?:src|href|name="back-end" content)="([^"#]+)"', page))
    for content in files.values():
        named |= set(re.findall(r' from "\./([^"]+)"', content.decode(errors="replace")))
    others = {"index.html", "model.json", "ort-wasm-simd-threaded.wasm"}
    assert named | others | {"decode.onnx", "encode.onnx"} == set(files)
    assert files["onnxruntime-web.js"] == RUNTIME["ort.wasm.bundle.min.mjs"]
    assert (files["decode.onnx"], files["encode.onnx"]) == (b"d", b"e")
    assert "script-src 'self' 'wasm-unsafe-eval';" in page.replace("&#x27;", "'")


@pytest.mark.parametrize(
    ("settings", "has"),
    [
        ({"model": "vae"}, {"decode", "encode", "sample"}),
        ({"model": "dcgan"}, {"decode", "sample"}),
        ({"model": "vae", "prior": "vamp"}, {"decode", "encode"}),  # it draws of N(0, I) alone
    ],
    ids=lambda value: "-".join(value.values()) if isinstance(value, dict) else None,
)
def test_what_the_page_offers(settings, has):
    functions = signature_functions(tiny_model(settings))
    described = describe_all({n: f.get_concrete_function() for n, f in functions.items()})
    page = web.describe_page("vae", "7", described, "sample_prior" not in functions)
    assert set(page["signatures"]) == has and page["version"] == "7"
    assert page["signatures"]["decode"]["inputs"] == {"z": [None, 3]}
    without = {name: shapes for name, shapes in described.items() if name != "decode"}
    assert "sample" not in web.describe_page("vae", "7", without, True)["signatures"]


def test_the_runtime_is_pinned_and_comes_from_wherever_the_user_says():
    package = json.loads((ROOT / "package.json").read_text())
    assert package["dependencies"] == {"onnxruntime-web": web.RUNTIME_VERSION}
    text = (ROOT / "package-lock.json").read_text()
    locked = json.loads(text)["packages"]["node_modules/onnxruntime-web"]
    assert locked["version"] == web.RUNTIME_VERSION and locked["integrity"]
    assert "://" not in text
    assert f"onnxruntime-web@{web.RUNTIME_VERSION} " in (ROOT / "docs/serving.md").read_text()
