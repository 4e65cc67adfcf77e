"""A trained run -> `<output>/<name>/<version>/`, the layout that TF Serving watches."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from zoo.errors import UsageError, reason
from zoo.export.formats import SAVED_MODEL, require_formats
from zoo.export.portable import FOLDER, write_portable
from zoo.export.versions import new_version
from zoo.export.warmup import write_warmup
from zoo.files import atomic_folder, write_json
from zoo.formats import FORMAT_VERSION
from zoo.manifest import write_manifest
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
    bundle = {"folder": FOLDER, "formats": list(formats), "functions": _describe_all(portable)}
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
        "signatures": _describe_all(signatures),
        **({"portable": bundle} if portable else {}),
        "units": {"images": "[0, 1]", "elbo, log_likelihood, kl": "nats per example"},
        "config": run.config.to_json(),
        **({"data_source": about} if about else {}),
        "data_fingerprint": run.data_fingerprint,
        "evaluation": run.evaluation()["records"],
        "versions": versions(),
    }


def _describe_all(functions: Mapping[str, Any]) -> dict[str, Any]:
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
) -> Path:
    """Writes the SavedModel of a run's newest checkpoint and returns its version folder.

    The folder appears in one rename, complete or not at all. It needs nothing of ours to be loaded.

    Args:
        run: the run.
        output: the folder above `name`.
        name: the model's name towards its clients.
        version: a number that is not taken; the next free one by default.
        signatures: which ones; all that the model can honour by default.
        formats: "saved_model", and those of "onnx" and "tflite" that the portable bundle shall
            have.

    Raises:
        UsageError: the version exists, the model lacks a signature, a format cannot be had, or the
        folder cannot be written.
    """
    require_formats(formats)
    target = new_version(output, name, version)
    functions = signature_functions(run.model)
    for wanted in signatures or ():
        require(functions, wanted, run.config.model.model)
    chosen = {n: f for n, f in functions.items() if n in (signatures or functions)}
    concrete = {n: f.get_concrete_function() for n, f in chosen.items()}
    portable = _portable(run, chosen, formats)
    step = int(run.model.step.numpy())
    with tempfile.TemporaryDirectory() as scratch, atomic_folder(target) as temporary:
        card = Path(scratch) / "model_card.json"
        described = {n: f.get_concrete_function() for n, f in portable.items()}
        write_json(card, model_card(run, step, concrete, described, formats))
        try:
            variables = write_saved_model(temporary, chosen, card)
            write_warmup(temporary, name, concrete)
        except tf.errors.OpError as error:
            raise UsageError(f"cannot write {target}: {reason(error)}") from error
        if portable:
            write_portable(temporary, portable, variables, formats)
        write_manifest(temporary)
    return target


def export_run(run: Run | str | Path, output: str | Path, name: str, **options: Any) -> Path:
    """`export_saved_model` of a run, or of the run in a folder."""
    return export_saved_model(
        run if isinstance(run, Run) else Run.open(run), output, name, **options
    )


def _portable(run: Run, chosen: Mapping[str, Any], formats: Sequence[str]) -> dict[str, Any]:
    """The functions of the portable bundle for the chosen signatures; none without a bundle."""
    if set(formats) == {SAVED_MODEL}:
        return {}
    names = [PORTABLE[name] for name in chosen if name in PORTABLE]
    if not names:
        raise UsageError(
            f"format={','.join(formats)!r} holds nothing of the signatures {', '.join(chosen)}: "
            f"expected one of {', '.join(PORTABLE)}"
        )
    return {n: f for n, f in portable_functions(run.model).items() if n in names}
