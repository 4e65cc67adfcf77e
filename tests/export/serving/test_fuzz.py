"""Whatever arrives, the server answers with JSON or a gRPC status, and serves on."""

import json
import resource
from pathlib import Path

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.export.serving.clients import Grpc, http, rest_predict
from tests.export.serving.test_tensors import scalars, values

pytestmark = pytest.mark.slow

fuzz = settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
names = st.sampled_from(["decode", "encode", "sample", "elbo", "sample_posterior", ""])
arrays = st.recursive(
    st.integers(-(2**70), 2**70) | st.floats() | scalars,
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=20,
)
columns = st.dictionaries(st.sampled_from(["z", "seed", "images", "x"]), arrays | values)
documents = st.fixed_dictionaries(
    {},
    optional={
        "signature_name": names | values,
        "inputs": columns | arrays,
        "instances": st.lists(columns | arrays, max_size=4) | values,
    },
)
bodies = (
    documents.map(lambda d: json.dumps(d).encode())
    | values.map(lambda v: json.dumps(v).encode())
    | st.binary(max_size=200)
    | st.integers(0, 20_000).map(lambda depth: b'{"inputs":' + b"[" * depth)
    | st.integers(0, 20_000).map(lambda depth: b'{"inputs":' + b"[" * depth + b"]" * depth + b"}")
)
segments = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#"))
paths = st.sampled_from(["", "/versions/1", "/versions/2", "/versions/99", "/labels/x"]).map(
    lambda version: f"/v1/models/vae{version}:predict"
) | segments.map(lambda text: f"/v1/{text}")
methods = st.sampled_from(["POST", "POST", "GET", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"])
STATUSES = {200, 400, 404, 501}  # none of 5xx that would tell of a defect


@fuzz
@given(documents)
def test_predictions(server, document):
    status, body = rest_predict(server, document)
    assert status in (200, 400, 501)
    assert ("error" in body) == (status != 200)


@fuzz
@given(methods, paths, bodies)
def test_methods_paths_and_bodies(server, method, path, body):
    status, answer = http(server, path, body, method)
    assert status in STATUSES and isinstance(answer, dict)


@fuzz
@given(st.binary(max_size=300), st.booleans())
def test_grpc_messages(server, message, predict):
    service = "PredictionService/Predict" if predict else "ModelService/GetModelStatus"
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        with pytest.raises(grpc.RpcError) as error:
            channel.unary_unary(f"/tensorflow.serving.{service}")(message, timeout=20)
    assert error.value.code().name in {"INVALID_ARGUMENT", "NOT_FOUND"}


def test_it_serves_on_and_memory_stays(server):
    """After all of the above, and then thousands of refused requests."""
    refused = {"instances": [{"z": [0.5] * 50_000}]}
    good = {"instances": [[0.0, 0.0, 0.0]]}
    client = Grpc(server)

    def round_of(count):
        for _ in range(count):
            assert rest_predict(server, refused)[0] == 400
            assert rest_predict(server, good)[0] == 200
            assert client.status()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 2**20  # MiB

    before = round_of(30)
    assert round_of(60) - before < 40  # a leak of each refused document would be 90
    client.channel.close()
