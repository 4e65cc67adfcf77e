"""The page of a model as static files, for any file server: it runs in the browser by
onnxruntime-web.

They lie in `assets.extra/web` of the SavedModel, which TF Serving does not read.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.errors import UsageError
from zoo.export.serving.live_page import ONNX, page_files
from zoo.files import read_bytes, user_path, write_json
from zoo.formats import FORMAT_VERSION

FOLDER = "assets.extra/web"
# Signatures whose ONNX files the page has. Not `elbo`, which would bring all weights once more.
HELD = ("decode", "encode")

RUNTIME_VERSION = "1.30.0"  # package.json's: what tests/clients run
RUNTIME_FOLDER = "node_modules/onnxruntime-web/dist"  # where npm leaves it
# Its files for WebAssembly, with the page's names: not every server knows .mjs as a script.
_RUNTIME = {
    "ort.wasm.bundle.min.mjs": "onnxruntime-web.js",
    "ort-wasm-simd-threaded.wasm": "ort-wasm-simd-threaded.wasm",
}


def require_runtime(folder: str | Path) -> Path:
    """The folder of onnxruntime-web's files.

    Raises:
        UsageError: one of those that the page needs is not there.
    """
    place = user_path(folder, "web_runtime")
    for name in _RUNTIME:
        if not (place / name).is_file():
            raise UsageError(
                f"web_runtime={folder} has no {name}: expected the folder dist of "
                f"onnxruntime-web, as npm install onnxruntime-web@{RUNTIME_VERSION} leaves it in "
                f"{RUNTIME_FOLDER}"
            )
    return place


def describe_page(
    name: str, version: str, signatures: Mapping[str, Any], standard_normal: bool
) -> dict[str, Any]:
    """What the page reads of its model, as JSON.

    Args:
        name: the model's name.
        version: of the export.
        signatures: what is exported, as the model card describes it.
        standard_normal: whether p(z) is N(0, I), of which the page can draw.
    """
    held = [*HELD, *(["sample"] if standard_normal and "decode" in signatures else [])]
    shapes = {
        signature: {
            side: {key: _sizes(tensor["shape"]) for key, tensor in tensors.items()}
            for side, tensors in signatures[signature].items()
        }
        for signature in held
        if signature in signatures
    }
    return {
        "format_version": FORMAT_VERSION,
        "name": name,
        "version": version,
        "signatures": shapes,
    }


def _sizes(shape: list[Any]) -> list[int | None]:
    return [size if isinstance(size, int) else None for size in shape]


def write_web(
    version_folder: Path, described: Mapping[str, Any], models: Mapping[str, bytes], runtime: Path
) -> None:
    """Writes the page into the folder of a SavedModel.

    Args:
        version_folder: the SavedModel.
        described: of `describe_page`.
        models: the ONNX files of its signatures, by name.
        runtime: of `require_runtime`.
    """
    folder = version_folder / FOLDER
    folder.mkdir(parents=True)
    write_json(folder / "model.json", described)
    files = {
        **page_files(ONNX, described["name"]),
        **{f"{name}.onnx": model for name, model in models.items()},
        **{ours: read_bytes(runtime / theirs) for theirs, ours in _RUNTIME.items()},
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
