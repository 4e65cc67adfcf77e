"""TF Serving's gRPC services."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import tensorflow as tf
from google.protobuf.message import DecodeError, Message
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    predict_pb2,
)

from zoo.export.serving import tensors, wire
from zoo.export.serving.limits import Refusal, invalid
from zoo.export.serving.model import ServedModel

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
    methods = {
        "PredictionService": {
            "Predict": _method(predict_pb2.PredictRequest, model, _predict),
            "GetModelMetadata": _method(
                get_model_metadata_pb2.GetModelMetadataRequest, model, _metadata
            ),
        },
        "ModelService": {
            "GetModelStatus": _method(get_model_status_pb2.GetModelStatusRequest, model, _status)
        },
    }
    server.add_generic_rpc_handlers(
        [
            grpc.method_handlers_generic_handler(f"tensorflow.serving.{service}", handlers)
            for service, handlers in methods.items()
        ]
    )
    host = f"[{address}]" if ":" in address else address
    try:
        bound = server.add_insecure_port(f"{host}:{port}")
    except RuntimeError as error:
        raise OSError(str(error)) from None
    return server, bound


def _method(
    kind: type[Message], model: ServedModel, answer: Callable[[ServedModel, Any], Message]
) -> grpc.RpcMethodHandler:
    """A method that takes bytes: gRPC's own answer to what is no message would be INTERNAL."""

    def method(data: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            return answer(model, _parsed(kind, data)).SerializeToString()
        except Refusal as refusal:
            return context.abort(refusal.code, refusal.message)  # raises

    return grpc.unary_unary_rpc_method_handler(method)


def _parsed(kind: type[Message], data: bytes) -> Message:
    wire.check(data, kind.DESCRIPTOR)
    try:
        return kind.FromString(data)
    except DecodeError as error:
        raise invalid(f"no {kind.DESCRIPTOR.name}: {error}") from None


def _wanted(request: Any) -> tuple[str, int | None, str]:
    """Name, version and label of a request's `model_spec`."""
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    spec = request.model_spec
    number = spec.version.value if spec.HasField("version") else None
    return spec.name, number, spec.version_label


def _predict(model: ServedModel, request: Any) -> Message:
    with model.turn():
        version = model.version(*_wanted(request))
        name = request.model_spec.signature_name
        signature = version.signature(name)
        arrays = tensors.from_protos(request.inputs, signature.inputs, model.limits.max_batch_size)
        outputs = signature(arrays, request.output_filter)
        response = predict_pb2.PredictResponse()
        response.model_spec.name = request.model_spec.name
        response.model_spec.signature_name = name or _DEFAULT_SIGNATURE
        response.model_spec.version.value = version.number
        for key, values in outputs.items():
            response.outputs[key].CopyFrom(tf.make_tensor_proto(values))
        return response


def _metadata(model: ServedModel, request: Any) -> Message:
    wanted = _wanted(request)
    if not request.metadata_field:
        raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
    for field in request.metadata_field:
        if field != "signature_def":
            raise invalid(f"Metadata field {field} is not supported")
    return model.metadata(*wanted)


def _status(model: ServedModel, request: Any) -> Message:
    return model.status(*_wanted(request))
