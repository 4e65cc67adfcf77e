"""TF Serving's gRPC services."""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import tensorflow as tf
from tensorflow_serving.apis import (
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from export.serving import tensors
from export.serving.limits import Refusal, invalid
from export.serving.model import ServedModel

_DEFAULT_SIGNATURE = "serving_default"
# A call holds a thread from its headers on: one whose message never comes ends with its connection.
_OLDEST_CONNECTION_MS, _GRACE_MS = 300_000, 60_000


def grpc_server(address: str, port: int, model: ServedModel) -> tuple[grpc.Server, int]:
    """A server, not yet started, and its port.

    Raises:
        OSError: the port is taken.
    """
    limits = model.limits
    server = grpc.server(
        ThreadPoolExecutor(limits.connections),
        maximum_concurrent_rpcs=limits.connections,  # more are refused: RESOURCE_EXHAUSTED
        options=[
            ("grpc.max_receive_message_length", limits.max_request_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),  # or two servers would share a port without a word
            ("grpc.max_connection_age_ms", _OLDEST_CONNECTION_MS),
            ("grpc.max_connection_age_grace_ms", _GRACE_MS),
        ],
    )
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(_Predictions(model), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(_Models(model), server)
    host = f"[{address}]" if ":" in address else address
    try:
        bound = server.add_insecure_port(f"{host}:{port}")
    except RuntimeError as error:
        raise OSError(str(error)) from None
    return server, bound


def _answered(method: Callable) -> Callable:
    """Ends the call of a refused request with its code and message."""

    @functools.wraps(method)
    def answered(self: Any, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method(self, request)
        except Refusal as refusal:
            context.abort(refusal.code, refusal.message)

    return answered


@_answered
def _not_served(self: Any, request: Any) -> Any:
    raise Refusal(
        grpc.StatusCode.UNIMPLEMENTED,
        "served are Predict, GetModelMetadata and GetModelStatus",
    )


def _wanted(request: Any) -> tuple[str, int | None, str]:
    """Name, version and label of a request's `model_spec`."""
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    spec = request.model_spec
    number = spec.version.value if spec.HasField("version") else None
    return spec.name, number, spec.version_label


class _Predictions(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, model: ServedModel):
        self._model = model

    @_answered
    def Predict(self, request: Any) -> Any:  # noqa: N802
        model = self._model
        with model.turn():
            version = model.version(*_wanted(request))
            name = request.model_spec.signature_name
            signature = version.signature(name)
            arrays = tensors.from_protos(
                request.inputs, signature.inputs, model.limits.max_batch_size
            )
            outputs = signature(arrays, request.output_filter)
            response = predict_pb2.PredictResponse()
            response.model_spec.name = request.model_spec.name
            response.model_spec.signature_name = name or _DEFAULT_SIGNATURE
            response.model_spec.version.value = version.number
            for key, values in outputs.items():
                response.outputs[key].CopyFrom(tf.make_tensor_proto(values))
            return response

    @_answered
    def GetModelMetadata(self, request: Any) -> Any:  # noqa: N802
        wanted = _wanted(request)
        if not request.metadata_field:
            raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
        for field in request.metadata_field:
            if field != "signature_def":
                raise invalid(f"Metadata field {field} is not supported")
        return self._model.metadata(*wanted)

    Classify = Regress = MultiInference = _not_served


class _Models(model_service_pb2_grpc.ModelServiceServicer):
    def __init__(self, model: ServedModel):
        self._model = model

    @_answered
    def GetModelStatus(self, request: Any) -> Any:  # noqa: N802
        return self._model.status(*_wanted(request))

    HandleReloadConfigRequest = _not_served
