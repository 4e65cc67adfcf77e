"""The portable bundle: functions of a model for runtimes other than TensorFlow.

It lies in `assets.extra/portable` of the SavedModel, which TF Serving does not read: `model.tflite`
with one signature per function, and one ONNX file per function.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from zoo.errors import UsageError

FOLDER = "assets.extra/portable"
ONNX_OPSET = 17  # chosen: every runtime of the last years reads it


def write_portable(
    version_folder: Path, functions: Mapping[str, Any], variables: Sequence[Any], formats: Any
) -> None:
    """Writes the bundle into the folder of a SavedModel.

    Args:
        version_folder: the SavedModel.
        functions: `tf.function`s with an input signature, by name.
        variables: what they use.
        formats: which of "onnx" and "tflite".

    Raises:
        UsageError: a function holds an operation that a format does not have.
    """
    folder = version_folder / FOLDER
    folder.mkdir(parents=True)
    if "onnx" in formats:
        for name, function in functions.items():
            (folder / f"{name}.onnx").write_bytes(onnx_model(name, function))
    if "tflite" in formats:
        (folder / "model.tflite").write_bytes(_tflite(functions, variables))


def onnx_model(name: str, function: Any) -> bytes:
    """A `tf.function` with an input signature as an ONNX model; its free dimension is called N.

    Raises:
        UsageError: it holds an operation that ONNX does not have.
    """
    import onnx
    import tf2onnx

    specs = function.input_signature
    try:
        model, _ = tf2onnx.convert.from_function(function, specs, opset=ONNX_OPSET)
        for value in (*model.graph.input, *model.graph.output):
            value.type.tensor_type.shape.dim[0].dim_param = "N"
        # tf2onnx writes operations that ONNX does not have into the model and says nothing.
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # whatever a converter may raise
        raise _refusal(name, "onnx", error) from error
    return model.SerializeToString()


def _tflite(functions: Mapping[str, Any], variables: Sequence[Any]) -> bytes:
    """All functions as the signatures of one LiteRT model."""
    module = tf.Module()
    module.weights, module.functions = list(variables), list(functions.values())
    with tempfile.TemporaryDirectory() as scratch:
        tf.saved_model.save(module, scratch, signatures=dict(functions))
        converter = tf.lite.TFLiteConverter.from_saved_model(
            scratch, signature_keys=list(functions)
        )
        try:
            return converter.convert()
        except Exception as error:  # whatever a converter may raise
            raise _refusal(", ".join(functions), "tflite", error) from error


def _refusal(what: str, target: str, error: Exception) -> UsageError:
    reason = " ".join(str(error).split())[:300]
    return UsageError(f"{what} cannot be converted to {target}: {reason}")
