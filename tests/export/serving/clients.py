"""Clients that share no code with the server: sockets, urllib, TF Serving's own stubs."""

import json
import socket
import urllib.error
import urllib.request

import grpc
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)


def http(server, path, body=None, method=None, timeout=30):
    """The status and the parsed body; `body` is bytes, or a document to send as JSON."""
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    url = f"http://127.0.0.1:{server.rest_port}{path}"
    request = urllib.request.Request(url, body, {"Connection": "close"}, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=timeout) as response:
            status, text, kind = response.status, response.read(), response.headers["Content-Type"]
    except urllib.error.HTTPError as error:
        with error:
            status, text, kind = error.code, error.read(), error.headers["Content-Type"]
    assert kind == "application/json"
    return status, json.loads(text) if text else None


def rest_predict(server, document, version=""):
    return http(server, f"/v1/models/vae{version}:predict", document)


def raw(server, data, wait=True):
    """A connection on which `data` was sent; its answer too where `wait`."""
    connection = socket.create_connection(("127.0.0.1", server.rest_port), timeout=20)
    connection.sendall(data)
    if not wait:
        return connection
    with connection:
        answer = b""
        while part := connection.recv(1 << 16):
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


class Grpc:
    """Calls over one channel; an error gives its code and message."""

    def __init__(self, server):
        self.channel = grpc.insecure_channel(
            f"127.0.0.1:{server.grpc_port}", [("grpc.enable_http_proxy", 0)]
        )
        self.predictions = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.models = model_service_pb2_grpc.ModelServiceStub(self.channel)

    def predict(self, inputs, signature="", version=None, name="vae", outputs=()):
        """Outputs by name, as arrays; inputs are arrays or protos."""
        request = predict_pb2.PredictRequest(output_filter=outputs)
        self.fill(request.model_spec, name, version)
        request.model_spec.signature_name = signature
        for key, values in inputs.items():
            proto = values if hasattr(values, "tensor_shape") else tf.make_tensor_proto(values)
            request.inputs[key].CopyFrom(proto)
        response = self.predictions.Predict(request, timeout=30)
        self.last_spec = response.model_spec
        return {key: tf.make_ndarray(proto) for key, proto in response.outputs.items()}

    def metadata(self, version=None, name="vae", fields=("signature_def",)):
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
        self.fill(request.model_spec, name, version)
        response = self.predictions.GetModelMetadata(request, timeout=30)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        assert response.metadata["signature_def"].Unpack(signatures)
        return response.model_spec, signatures.signature_def

    def status(self, version=None, name="vae"):
        request = get_model_status_pb2.GetModelStatusRequest()
        self.fill(request.model_spec, name, version)
        return self.models.GetModelStatus(request, timeout=30).model_version_status

    def fill(self, spec, name, version):
        spec.name = name
        if version is not None:
            spec.version.value = version
