"""TF Serving's REST API: a method, a path and a body -> a status and a body."""

from __future__ import annotations

import json
import re
import traceback
import urllib.parse
from http import HTTPStatus
from typing import Any

from google.protobuf import json_format
from grpc import StatusCode
from tensorflow_serving.apis import get_model_metadata_pb2

from zoo.export.serving import tensors
from zoo.export.serving.limits import Refusal, invalid
from zoo.export.serving.model import ServedModel

_MODEL = (
    r"/v1/models(?:/(?P<name>[^/:]+))?(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
)
_POST = re.compile(_MODEL + r":(?P<method>classify|regress|predict)", re.ASCII | re.IGNORECASE)
_GET = re.compile(_MODEL + r"(?P<metadata>/metadata)?", re.ASCII | re.IGNORECASE)

# As TF Serving maps them; what is missing here is an internal error.
_HTTP_STATUS = {
    StatusCode.INVALID_ARGUMENT: HTTPStatus.BAD_REQUEST,
    StatusCode.FAILED_PRECONDITION: HTTPStatus.BAD_REQUEST,
    StatusCode.OUT_OF_RANGE: HTTPStatus.BAD_REQUEST,
    StatusCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
    StatusCode.RESOURCE_EXHAUSTED: HTTPStatus.TOO_MANY_REQUESTS,
    StatusCode.UNIMPLEMENTED: HTTPStatus.NOT_IMPLEMENTED,
    StatusCode.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}


def answer(model: ServedModel, method: str, path: str, body: bytes) -> tuple[HTTPStatus, bytes]:
    """The status and the JSON body that answer a request, whatever it is."""
    try:
        return HTTPStatus.OK, _answer(model, method, path, body)
    except Refusal as refusal:
        status = _HTTP_STATUS.get(refusal.code, HTTPStatus.INTERNAL_SERVER_ERROR)
        return status, error_body(refusal.message)
    except Exception as error:  # a defect of ours must not end the server
        traceback.print_exc()
        message = f"{type(error).__name__}: {error}"
        return HTTPStatus.INTERNAL_SERVER_ERROR, error_body(message)


def error_body(message: str) -> bytes:
    """The body of every error."""
    return json.dumps({"error": message}).encode()


def _answer(model: ServedModel, method: str, path: str, body: bytes) -> bytes:
    path = urllib.parse.urlsplit(path).path
    match = {"POST": _POST, "GET": _GET}.get(method, _POST).fullmatch(path)
    if not match or method not in ("POST", "GET"):
        raise invalid(f"Malformed request: {method} {path}")
    name, label = (urllib.parse.unquote(match[part] or "") for part in ("name", "label"))
    version = _number(match["version"])
    if not name:
        raise invalid("Missing model name in request.")
    if method == "POST":
        if match["method"].lower() != "predict":
            raise Refusal(StatusCode.UNIMPLEMENTED, f"{match['method']}: only predict is served")
        return _predict(model, name, version, label, body)
    if match["metadata"]:
        return _metadata_json(model.metadata(name, version, label))
    return _json(model.status(name, version, label))


def _number(digits: str | None) -> int | None:
    if digits and (len(digits) > 19 or int(digits) >= 1 << 63):
        raise invalid(f"Failed to convert version: {digits} to numeric.")
    return int(digits) if digits else None


def _predict(model: ServedModel, name: str, version: int | None, label: str, body: bytes) -> bytes:
    with model.turn():
        loaded = model.version(name, version, label)
        document = tensors.parse(body, loaded.most_values(model.limits.max_batch_size))
        signature = loaded.signature(tensors.signature_name(document))
        arrays, rows = tensors.from_json(document, signature.inputs, model.limits.max_batch_size)
        return tensors.to_json(signature(arrays), rows)


def _metadata_json(response: Any) -> bytes:
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata["signature_def"].Unpack(signatures)
    document = {
        "model_spec": _dict(response.model_spec),
        "metadata": {"signature_def": _dict(signatures)},
    }
    return json.dumps(document).encode()


def _json(message: Any) -> bytes:
    return json.dumps(_dict(message)).encode()


def _dict(message: Any) -> dict[str, Any]:
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
