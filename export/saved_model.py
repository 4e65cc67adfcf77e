"""A trained run -> `<output>/<name>/<version>/`, the layout that TF Serving watches."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from zoo.errors import UsageError, reason
from zoo.export import web
from zoo.export.formats import BUNDLED, SAVED_MODEL, WEB, require_formats
from zoo.export.portable import FOLDER, onnx_model, write_portable
from zoo.export.versions import new_version
from zoo.export.warmup import write_warmup
from zoo.files import atomic_folder, write_json
from zoo.formats import FORMAT_VERSION
from zoo.manifest import write_manifest
from zoo.pretrained import as_run
from zoo.registry import source_of
from zoo.run import Run
from zoo.saved_model.contract import PORTABLE, require
from zoo.saved_model.signatures import portable_functions, signature_functions
from zoo.saved_model.writer import write_saved_model
from zoo.versions import versions


def model_card(
    run: Run, step: int, signatures: Mapping[str, Any], portable: Mapping[str, Any], formats: Any
) -> dict[str, Any]:
    """What a user of the SavedModel should know, as JSON."""
    bundle = {"folder": FOLDER, "formats": list(formats), "functions": describe_all(portable)}
    about = source_of(run.config.data.dataset).about
    return {
        "format_version": FORMAT_VERSION,
        "model": run.config.model.model,
        "bound_status": run.model.bound_status,
        "likelihood": run.model.config.likelihood,
        "prior": run.model.config.prior,
        "image_shape": list(run.image_shape),
        **({} if run.class_names is None else {"class_names": list(run.class_names)}),
        "latent_size": run.model.latent_size,
        "step": step,
        "signatures": describe_all(signatures),
        **({"portable": bundle} if portable else {}),
        **({"web": {"folder": web.FOLDER}} if WEB in formats else {}),
        "units": {"images": "[0, 1]", "elbo, log_likelihood, kl": "nats per example"},
        "config": run.config.to_json(),
        **({"data_source": about} if about else {}),
        "data_fingerprint": run.data_fingerprint,
        "evaluation": run.evaluation()["records"],
        "versions": versions(),
    }


def describe_all(functions: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs and outputs of concrete functions, as JSON."""

    def describe(spec: Any) -> dict[str, Any]:
        return {"dtype": spec.dtype.name, "shape": [d if d else "N" for d in spec.shape]}

    return {
        name: {
            "inputs": {s.name: describe(s) for s in function.structured_input_signature[0]},
            "outputs": {k: describe(v) for k, v in function.structured_outputs.items()},
        }
        for name, function in functions.items()
    }


def export_saved_model(
    run: Run,
    output: str | Path,
    name: str,
    version: int | None = None,
    signatures: Sequence[str] | None = None,
    formats: Sequence[str] = (SAVED_MODEL,),
    web_runtime: str | Path = web.RUNTIME_FOLDER,
) -> Path:
    """Writes the SavedModel of a run's newest checkpoint and returns its version folder.

    The folder appears in one rename, complete or not at all. It needs nothing of ours to be loaded.

    Args:
        run: the run.
        output: the folder above `name`.
        name: the model's name towards its clients.
        version: a number that is not taken; the next free one by default.
        signatures: which ones; all that the model can honour by default.
        formats: "saved_model", those of "onnx" and "tflite" that the portable bundle shall have,
            and "web" for the page as static files.
        web_runtime: the folder of onnxruntime-web's files, for that page.

    Raises:
        UsageError: the version exists, the model lacks a signature, a format cannot be had, or the
        folder cannot be written.
    """
    require_formats(formats, web_runtime)
    target = new_version(output, name, version)
    functions = signature_functions(run.model)
    for wanted in signatures or ():
        require(functions, wanted, run.config.model.model)
    chosen = {n: f for n, f in functions.items() if n in (signatures or functions)}
    concrete = {n: f.get_concrete_function() for n, f in chosen.items()}
    portable = _portable(run, chosen, formats)
    bundle = portable if set(formats) & set(BUNDLED) else {}
    step = int(run.model.step.numpy())
    with tempfile.TemporaryDirectory() as scratch, atomic_folder(target) as temporary:
        card = Path(scratch) / "model_card.json"
        described = {n: f.get_concrete_function() for n, f in bundle.items()}
        write_json(card, model_card(run, step, concrete, described, formats))
        try:
            variables = write_saved_model(temporary, chosen, card)
            write_warmup(temporary, name, concrete)
        except tf.errors.OpError as error:
            raise UsageError(f"cannot write {target}: {reason(error)}") from error
        if bundle:
            write_portable(temporary, bundle, variables, formats)
        if WEB in formats:
            normal = "sample_prior" not in functions  # its contract: of a prior that is another
            page = web.describe_page(name, target.name, describe_all(concrete), normal)
            models = {n: _onnx(n, portable[n], temporary) for n in web.HELD if n in portable}
            web.write_web(temporary, page, models, web.require_runtime(web_runtime))
        write_manifest(temporary)
    return target


def export_run(run: Run | str | Path, output: str | Path, name: str, **options: Any) -> Path:
    """`export_saved_model` of a run, the run in a folder, or a pretrained one by its name."""
    return export_saved_model(as_run(run), output, name, **options)


def _portable(run: Run, chosen: Mapping[str, Any], formats: Sequence[str]) -> dict[str, Any]:
    """The functions of the portable bundle and the page for the chosen signatures; none where
    neither is wanted."""
    names: set[str] = set()
    for held in (web.HELD if name == WEB else PORTABLE for name in formats if name != SAVED_MODEL):
        wanted = {PORTABLE[name] for name in chosen if name in held}
        if not wanted:
            raise UsageError(
                f"format={','.join(formats)!r} holds nothing of the signatures "
                f"{', '.join(chosen)}: expected one of {', '.join(held)}"
            )
        names |= wanted
    return {n: f for n, f in portable_functions(run.model).items() if n in names} if names else {}


def _onnx(name: str, function: Any, version_folder: Path) -> bytes:
    """A function as ONNX: the bundle's, where it is there, since a conversion takes seconds."""
    made = version_folder / FOLDER / f"{name}.onnx"
    return made.read_bytes() if made.exists() else onnx_model(name, function)
