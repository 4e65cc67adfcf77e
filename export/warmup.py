"""TF Serving's warm-up file: one request per signature, replayed before a version takes traffic."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

BATCH_SIZES = (1, 8)  # chosen


def write_warmup(version_folder: Path, name: str, signatures: Mapping[str, Any]) -> None:
    """Writes `assets.extra/tf_serving_warmup_requests`, a TFRecord of PredictionLog.

    Args:
        version_folder: the SavedModel.
        name: the model's name towards its clients.
        signatures: concrete functions by name.
    """
    folder = version_folder / "assets.extra"
    folder.mkdir()
    with tf.io.TFRecordWriter(str(folder / "tf_serving_warmup_requests")) as writer:
        for signature, function in signatures.items():
            for rows in BATCH_SIZES:
                writer.write(_request(name, signature, function, rows).SerializeToString())


def _request(name: str, signature: str, function: Any, rows: int) -> Any:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    for spec in function.structured_input_signature[0]:
        values = np.zeros([rows, *spec.shape[1:]], spec.dtype.as_numpy_dtype)
        request.inputs[spec.name].CopyFrom(tf.make_tensor_proto(values))
    return prediction_log_pb2.PredictionLog(
        predict_log=prediction_log_pb2.PredictLog(request=request)
    )
