"""The running server, through urllib and TF Serving's own gRPC stubs."""

import threading
import time

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import classification_pb2, predict_pb2

from tests.export.serving.clients import Grpc, http, raw, rest_predict
from tests.export.serving.conftest import MAX_ROWS
from zoo.errors import UsageError
from zoo.export.serving.limits import Limits
from zoo.export.serving.server import Server

Z = [[0.5, -1.0, 2.0], [0.0, 0.25, -0.5]]


@pytest.fixture(scope="module")
def signatures(folder):
    """By version: what TensorFlow itself computes, and the owner of the weights."""
    loaded = {number: tf.saved_model.load(str(folder / str(number))) for number in (1, 2)}
    return {number: (model.signatures, model) for number, model in loaded.items()}


def run(signatures, version, name, **inputs):
    outputs = signatures[version][0][name](**{k: tf.constant(v) for k, v in inputs.items()})
    return {key: values.numpy() for key, values in outputs.items()}


def images_of(status_and_body, key):
    status, body = status_and_body
    assert status == 200, body
    return np.array(body[key], np.float32)


def test_rest_rows_and_columns(server, signatures):
    expected = run(signatures, 2, "decode", z=np.array(Z, np.float32))["images"]
    for document, key in (
        ({"instances": Z}, "predictions"),
        ({"instances": [{"z": row} for row in Z]}, "predictions"),
        ({"inputs": Z}, "outputs"),
        ({"inputs": {"z": Z}}, "outputs"),
        ({"signature_name": "decode", "inputs": {"z": Z}}, "outputs"),
    ):
        images = images_of(rest_predict(server, document), key)
        np.testing.assert_array_equal(images, expected)


def test_rest_several_inputs_and_outputs(server, signatures, rng):
    images = rng.random((3, 28, 28, 3)).astype(np.float32)
    seed = np.array([3, -4, 5], np.int32)
    expected = run(signatures, 2, "elbo", images=images, seed=seed)
    rows = [{"images": i.tolist(), "seed": int(s)} for i, s in zip(images, seed, strict=True)]
    status, body = rest_predict(server, {"signature_name": "elbo", "instances": rows})
    assert status == 200 and len(body["predictions"]) == 3
    columns = {"images": images.tolist(), "seed": seed.tolist()}
    status, columnar = rest_predict(server, {"signature_name": "elbo", "inputs": columns})
    assert status == 200
    for name, values in expected.items():
        np.testing.assert_array_equal([np.float32(p[name]) for p in body["predictions"]], values)
        np.testing.assert_array_equal(np.float32(columnar["outputs"][name]), values)


def test_grpc_predict(stubs, signatures):
    seed = np.array([7, 8, 7], np.int32)
    expected = run(signatures, 2, "sample", seed=seed)
    outputs = stubs.predict({"seed": seed}, "sample")
    assert outputs.keys() == {"images", "z"}
    for name, values in expected.items():
        np.testing.assert_array_equal(outputs[name], values)
    spec = stubs.last_spec
    assert (spec.name, spec.signature_name, spec.version.value) == ("vae", "sample", 2)
    assert stubs.predict({"seed": seed}, "sample", outputs=["z"]).keys() == {"z"}
    stubs.predict({"z": np.array(Z, np.float32)})
    assert stubs.last_spec.signature_name == "serving_default"


def test_versions(server, stubs, signatures):
    z = np.array(Z, np.float32)
    one, two = (run(signatures, number, "decode", z=z)["images"] for number in (1, 2))
    assert not np.array_equal(one, two)
    for number, expected in ((1, one), (2, two)):
        answer = rest_predict(server, {"inputs": Z}, f"/versions/{number}")
        np.testing.assert_array_equal(images_of(answer, "outputs"), expected)
        np.testing.assert_array_equal(stubs.predict({"z": z}, version=number)["images"], expected)
        assert stubs.last_spec.version.value == number


def test_status(server, stubs):
    entry = {"state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    newest = {"version": "2", **entry}
    assert rest_predict(server, ZERO, "/versions/1")[0] == 200  # or it has not been loaded yet
    whole = {"model_version_status": [newest, {"version": "1", **entry}]}
    assert http(server, "/v1/models/vae") == (200, whole)
    only = {"model_version_status": [newest]}
    assert http(server, "/v1/models/vae/versions/2") == (200, only)
    assert [(v.version, v.state) for v in stubs.status()] == [(2, 30), (1, 30)]
    assert [v.version for v in stubs.status(1)] == [1]


def test_metadata(server, stubs):
    status, body = http(server, "/v1/models/vae/metadata")
    assert status == 200
    assert body["model_spec"] == {"name": "vae", "signature_name": "", "version": "2"}
    described = body["metadata"]["signature_def"]["signature_def"]
    assert described["elbo"]["inputs"]["seed"] == {
        "dtype": "DT_INT32",
        "name": "elbo_seed:0",
        "tensor_shape": {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False},
    }
    assert described["elbo"]["method_name"] == "tensorflow/serving/predict"
    spec, protos = stubs.metadata()
    assert spec.version.value == 2 and protos.keys() == described.keys()
    assert [d.size for d in protos["decode"].inputs["z"].tensor_shape.dim] == [-1, 3]
    assert http(server, "/v1/models/vae/versions/1/metadata")[1]["model_spec"]["version"] == "1"


def picture(value):
    return np.full((1, 28, 28, 3), value, np.float32)


BAD_INPUTS = {
    "no rows": ("sample", {"seed": np.zeros(0, np.int32)}, "has no rows"),
    "nan": ("encode", {"images": picture(np.nan)}, "images must be finite and lie in [0, 1]"),
    "range": ("encode", {"images": picture(1.5)}, "images must be finite and lie in [0, 1]"),
    "infinity": ("decode", {"z": np.full((1, 3), np.inf, np.float32)}, "z must be finite"),
    "latent size": ("decode", {"z": np.zeros((1, 4), np.float32)}, "shape [1,4]: expected [N,3]"),
    "rank": ("decode", {"z": np.zeros(3, np.float32)}, "shape [3]: expected [N,3]"),
    "side": ("encode", {"images": np.zeros((1, 27, 28, 3), np.float32)}, "expected [N,28,28,3]"),
    "batch size": ("sample", {"seed": np.zeros(MAX_ROWS + 1, np.int32)}, "expected at most 16"),
}


@pytest.mark.parametrize("case", BAD_INPUTS)
def test_bad_inputs_get_the_message_in_both_protocols(server, stubs, case):
    signature, inputs, message = BAD_INPUTS[case]
    columns = {name: values.tolist() for name, values in inputs.items()}
    status, body = rest_predict(server, {"signature_name": signature, "inputs": columns})
    assert status == 400 and message in body["error"]
    with pytest.raises(grpc.RpcError) as error:
        stubs.predict(inputs, signature)
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert message in error.value.details()
    for text in (body["error"], error.value.details()):
        assert "Graph execution error" not in text and "Traceback" not in text


ZERO = {"inputs": [[0, 0, 0]]}
HTTP_ERRORS = [
    ("POST", "/v1/models/vae:predict", b"{", 400, "JSON Parse error"),
    ("POST", "/v1/models/vae:predict", b"\xff\xfe\x00", 400, "JSON Parse error"),
    ("POST", "/v1/models/vae:predict", {"inputs": [[1]], "signature_name": "paint"}, 400, "paint"),
    ("POST", "/v1/models/other:predict", ZERO, 404, "Servable not found for request: Latest(other"),
    ("POST", "/v1/models/vae/versions/3:predict", ZERO, 404, "Specific(vae, 3)"),
    ("POST", "/v1/models/vae/labels/canary:predict", ZERO, 400, "label: canary"),
    ("POST", f"/v1/models/vae/versions/{'9' * 30}:predict", ZERO, 400, "Failed to convert version"),
    ("POST", "/v1/models/vae:classify", ZERO, 501, "only predict is served"),
    ("POST", "/v1/models/vae", ZERO, 400, "Malformed request: POST /v1/models/vae"),
    ("GET", "/v1/models/vae:predict", None, 400, "Malformed request: GET"),
    ("GET", "/v1/models/other", None, 404, "Could not find any versions of model other"),
    ("GET", "/v1/models/vae/versions/3", None, 404, "Could not find version 3 of model vae"),
    ("GET", "/v1/models", None, 400, "Missing model name"),
    ("GET", "/index.html", None, 400, "Malformed request"),
    ("POST", "/", ZERO, 400, "Malformed request: POST /"),
    ("OPTIONS", "/v1/models/vae:predict", None, 400, "Malformed request: OPTIONS"),
    ("DELETE", "/v1/models/vae", None, 400, "Malformed request: DELETE"),
    ("BREW", "/v1/models/vae", None, 501, "BREW"),
    ("POST", "/v1/models/vae:predict", b" " * ((1 << 20) + 1), 413, "expected at most 1048576"),
    ("POST", "/v1/models/vae:predict", b" " * (20 << 20), 413, "expected at most 1048576"),
]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    HTTP_ERRORS,
    ids=[f"{e[0]} {e[1][:40]} {e[3]}" for e in HTTP_ERRORS],
)
def test_rest_errors(server, method, path, body, status, message):
    seen = http(server, path, body, method)
    assert seen[0] == status and message in seen[1]["error"] and seen[1].keys() == {"error"}


def test_the_path_is_read_as_tf_serving_reads_it(server):
    assert http(server, "/V1/Models/%76ae?x=1")[0] == 200
    assert http(server, "/v1/models/vae", method="HEAD") == (400, None)


GRPC_ERRORS = [
    ({"name": "other"}, "NOT_FOUND", "Servable not found for request: Latest(other)"),
    ({"version": 3}, "NOT_FOUND", "Servable not found for request: Specific(vae, 3)"),
    ({"name": ""}, "INVALID_ARGUMENT", "ModelSpec has no name"),
    ({"signature": "paint"}, "FAILED_PRECONDITION", '"paint" not found in signature def'),
    ({"outputs": ["pixels"]}, "INVALID_ARGUMENT", "output tensor alias not found"),
    ({"outputs": ["images", "images"]}, "INVALID_ARGUMENT", "duplicate output tensor alias"),
]


@pytest.mark.parametrize(
    ("request_", "code", "message"), GRPC_ERRORS, ids=[e[2] for e in GRPC_ERRORS]
)
def test_grpc_errors(stubs, request_, code, message):
    with pytest.raises(grpc.RpcError) as error:
        stubs.predict({"z": np.zeros((1, 3), np.float32)}, **request_)
    assert error.value.code().name == code and message in error.value.details()


def test_other_grpc_errors(stubs):
    def code_of(call, *arguments, **named):
        with pytest.raises(grpc.RpcError) as error:
            call(*arguments, **named)
        return error.value.code().name

    assert code_of(stubs.predict, {"z": np.zeros((1, 3))}) == "INVALID_ARGUMENT"
    large = {"z": np.zeros((1 << 17, 3), np.float32)}
    assert code_of(stubs.predict, large) == "RESOURCE_EXHAUSTED"
    assert code_of(stubs.metadata, fields=()) == "INVALID_ARGUMENT"
    assert code_of(stubs.metadata, fields=("weights",)) == "INVALID_ARGUMENT"
    assert code_of(stubs.status, name="other") == "NOT_FOUND"
    assert code_of(stubs.status, 5) == "NOT_FOUND"
    assert code_of(stubs.predictions.Predict, predict_pb2.PredictRequest()) == "INVALID_ARGUMENT"
    empty = classification_pb2.ClassificationRequest()
    assert code_of(stubs.predictions.Classify, empty) == "UNIMPLEMENTED"


def test_a_busy_server_says_so_in_both_protocols(folder, held):
    release, begun = held
    limits = Limits(max_concurrency=2, queue_seconds=0.2)
    with Server(folder, limits=limits) as server:
        answers = []
        threads = [
            threading.Thread(target=lambda: answers.append(rest_predict(server, ZERO)))
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
            assert begun.acquire(timeout=20)
        status, body = rest_predict(server, ZERO)
        assert status == 503 and "busy" in body["error"]
        client = Grpc(server)
        with pytest.raises(grpc.RpcError) as error:
            client.predict({"z": np.zeros((1, 3), np.float32)})
        assert error.value.code() == grpc.StatusCode.UNAVAILABLE
        assert http(server, "/v1/models/vae")[0] == 200  # its status is known all the same
        release.set()
        for thread in threads:
            thread.join()
        assert [status for status, _ in answers] == [200, 200]
        assert rest_predict(server, ZERO)[0] == 200
        client.channel.close()


def test_stopping_answers_what_has_arrived(folder, held):
    release, begun = held
    server = Server(folder)
    answers = []
    with server:
        idle = raw(server, b"", wait=False)
        client = Grpc(server)
        rest = threading.Thread(target=lambda: answers.append(rest_predict(server, ZERO)[0]))
        stub = threading.Thread(
            target=lambda: answers.append(client.predict({"z": np.zeros((1, 3), np.float32)}))
        )
        for thread in (rest, stub):
            thread.start()
            assert begun.acquire(timeout=20)
        start = time.monotonic()
        threading.Timer(0.5, release.set).start()
    assert time.monotonic() - start < 8  # the idle connection did not hold it up
    rest.join()
    stub.join()
    assert len(answers) == 2 and all(a == 200 or "images" in a for a in answers)
    idle.close()
    client.channel.close()
    with pytest.raises(OSError):
        rest_predict(server, ZERO)


def test_new_and_broken_versions(folder, tmp_path):
    served = tmp_path / "vae"
    served.mkdir()
    (served / "1").symlink_to(folder / "1")
    with Server(served) as server:
        (served / "007").mkdir()
        (served / "007" / "saved_model.pb").write_bytes(b"no proto")
        (served / "notes").mkdir()
        (served / "notes" / "saved_model.pb").touch()
        assert rest_predict(server, ZERO)[0] == 200  # the newest that can be loaded
        _, body = http(server, "/v1/models/vae")
        states = [(v["version"], v["state"]) for v in body["model_version_status"]]
        assert states == [("7", "END"), ("1", "AVAILABLE")]
        assert body["model_version_status"][0]["status"]["error_code"] == "UNKNOWN"
        assert rest_predict(server, ZERO, "/versions/7")[0] == 404
        (served / "10").symlink_to(folder / "2")
        assert http(server, "/v1/models/vae/metadata")[1]["model_spec"]["version"] == "10"


def test_a_taken_port_is_one_line(folder, server):
    for taken in ({"rest_port": server.rest_port}, {"grpc_port": server.grpc_port}):
        with pytest.raises(UsageError, match="cannot listen on 127.0.0.1, port"):
            Server(folder, **taken)
