"""TF Serving's conventions, asserted from its own protos; TF Serving itself is not run."""

import json

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from tests.export.runs import INPUTS, make_run
from zoo.export.saved_model import export_saved_model

METHOD = "tensorflow/serving/predict"
MOST_WARMUP_RECORDS = 1000
CONTRACT = {  # inputs and outputs, all float32 but the seed
    "decode": ({"z"}, {"images"}),
    "serving_default": ({"z"}, {"images"}),
    "encode": ({"images"}, {"z", "mean", "stddev"}),
    "sample_posterior": ({"images", "seed"}, {"z"}),
    "sample": ({"seed"}, {"images", "z"}),
    "elbo": ({"images", "seed"}, {"elbo", "log_likelihood", "kl"}),
}


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    root = tmp_path_factory.mktemp("contract")
    return export_saved_model(make_run(root / "run", {"model": "vae"}), root / "served", "vae")


@pytest.fixture(scope="module")
def signature_defs(version):
    proto = saved_model_pb2.SavedModel.FromString((version / "saved_model.pb").read_bytes())
    (graph,) = proto.meta_graphs
    assert list(graph.meta_info_def.tags) == ["serve"]
    return {n: d for n, d in graph.signature_def.items() if n != "__saved_model_init_op"}


@pytest.fixture(scope="module")
def loaded(version):
    return tf.saved_model.load(str(version))


def test_version_folder(version):
    assert version.name == "1" and version.parent.name == "vae"
    # What TF Serving takes for a version is a folder whose name is a number; nothing else is here.
    assert [f.name for f in version.parent.iterdir()] == ["1"]
    assert {f.name for f in version.iterdir()} >= {"saved_model.pb", "variables", "assets"}


def test_signature_names_dtypes_and_batch_dimension(signature_defs):
    assert set(signature_defs) == set(CONTRACT)
    for name, (inputs, outputs) in CONTRACT.items():
        definition = signature_defs[name]
        assert definition.method_name == METHOD
        assert set(definition.inputs) == inputs and set(definition.outputs) == outputs
        assert not definition.defaults  # REST and Python ignore them
        for key, info in (*definition.inputs.items(), *definition.outputs.items()):
            integer = key == "seed"
            assert info.dtype == (types_pb2.DT_INT32 if integer else types_pb2.DT_FLOAT)
            assert not info.tensor_shape.unknown_rank and info.tensor_shape.dim[0].size == -1
            assert not key.endswith("_bytes")  # REST takes that for base64


def test_warm_up_file(version, signature_defs):
    file = version / "assets.extra" / "tf_serving_warmup_requests"
    raw = [record.numpy() for record in tf.data.TFRecordDataset(str(file))]
    logs = [prediction_log_pb2.PredictionLog.FromString(record) for record in raw]
    assert 0 < len(logs) <= MOST_WARMUP_RECORDS
    for log in logs:
        assert log.WhichOneof("log_type") == "predict_log"
        request = log.predict_log.request
        assert request.model_spec.name == "vae"
        assert_fits(request, signature_defs[request.model_spec.signature_name])


def assert_fits(request, definition):
    """What TF Serving checks of a PredictRequest against the signature."""
    assert set(request.inputs) == set(definition.inputs)
    for key, proto in request.inputs.items():
        info = definition.inputs[key]
        seen = [d.size for d in proto.tensor_shape.dim]
        wanted = [d.size for d in info.tensor_shape.dim]
        assert proto.dtype == info.dtype and len(seen) == len(wanted)
        assert all(w in (-1, s) for s, w in zip(seen, wanted, strict=True))


@pytest.mark.parametrize("form", ["row", "column"])
@pytest.mark.parametrize("signature", CONTRACT)
def test_rest_bodies_become_requests_that_run(loaded, signature_defs, signature, form):
    keys = sorted(CONTRACT[signature][0])
    columns = {key: INPUTS[key].tolist() for key in keys}
    if form == "column":
        body = {"inputs": columns if len(keys) > 1 else columns[keys[0]]}
    else:
        rows = [dict(zip(keys, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        body = {"instances": rows if len(keys) > 1 else columns[keys[0]]}
    body = json.loads(json.dumps({"signature_name": signature, **body}))
    request = request_of(body, signature_defs[signature])
    assert_fits(request, signature_defs[signature])
    function = loaded.signatures[body["signature_name"]]
    sent = {key: tf.make_ndarray(proto) for key, proto in request.inputs.items()}
    for key in keys:
        np.testing.assert_array_equal(sent[key], INPUTS[key])
    outputs = function(**{key: tf.constant(value) for key, value in sent.items()})
    # In row form every output is cut along a common first dimension.
    assert {len(value) for value in outputs.values()} == {len(INPUTS["z"])}


def request_of(body, definition):
    """The PredictRequest that TF Serving makes of a REST body: rows are stacked by name."""
    given = body.get("inputs", body.get("instances"))
    if "instances" in body and isinstance(given[0], dict):
        given = {key: [row[key] for row in given] for key in given[0]}
    if not isinstance(given, dict):
        (only,) = definition.inputs
        given = {only: given}
    request = predict_pb2.PredictRequest()
    request.model_spec.signature_name = body["signature_name"]
    for key, values in given.items():
        dtype = tf.dtypes.as_dtype(definition.inputs[key].dtype)
        request.inputs[key].CopyFrom(tf.make_tensor_proto(values, dtype))
    return request
