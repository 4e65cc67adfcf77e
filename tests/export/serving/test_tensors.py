"""The conversions, as pure functions: by NumPy's own, and by the rules of TF Serving's JSON."""

import json

import grpc
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow.core.framework import tensor_pb2

from export.serving import tensors
from export.serving.limits import Refusal

ROWS = 4
Z = {"z": tf.TensorSpec([None, 2], tf.float32)}
SEED = {"seed": tf.TensorSpec([None], tf.int32)}
BOTH = {"images": tf.TensorSpec([None, 1, 2], tf.float32), **SEED}
PIXELS = {"x": tf.TensorSpec([None], tf.uint8)}
FLAGS = {"x": tf.TensorSpec([None], tf.bool)}


def read(text, specs):
    return tensors.from_json(tensors.parse(text.encode()), specs, ROWS)


ACCEPTED = [
    ('{"instances": [[1, 2.5], [-3e0, 4]]}', Z, {"z": [[1, 2.5], [-3, 4]]}),
    ('{"instances": [{"z": [1, 2]}]}', Z, {"z": [[1, 2]]}),
    ('{"inputs": [[1, 2]]}', Z, {"z": [[1, 2]]}),
    ('{"inputs": {"z": [[NaN, -Infinity]]}}', Z, {"z": [[np.nan, -np.inf]]}),
    ('{"inputs": {"z": [[1, 2]], "more": 3}}', Z, {"z": [[1, 2]]}),
    ('{"instances": [7, -2147483648]}', SEED, {"seed": [7, -(2**31)]}),
    ('{"inputs": {"seed": []}}', SEED, {"seed": []}),
    ('{"inputs": [0, 255]}', PIXELS, {"x": [0, 255]}),
    ('{"inputs": [true, false]}', FLAGS, {"x": [True, False]}),
    ('{"inputs": [[16777215, 3.4028234e38]]}', Z, {"z": [[16777215, 3.4028234e38]]}),
    (
        '{"instances": [{"images": [[1, 2]], "seed": 3}, {"seed": 4, "images": [[5, 6]]}]}',
        BOTH,
        {"images": [[[1, 2]], [[5, 6]]], "seed": [3, 4]},
    ),
]


@pytest.mark.parametrize(("text", "specs", "expected"), ACCEPTED, ids=[a[0] for a in ACCEPTED])
def test_accepted(text, specs, expected):
    arrays, rows = read(text, specs)
    assert rows == ("instances" in text) and arrays.keys() == expected.keys()
    for name, spec in specs.items():
        assert arrays[name].dtype == spec.dtype.as_numpy_dtype
        np.testing.assert_array_equal(
            arrays[name], np.array(expected[name], spec.dtype.as_numpy_dtype)
        )


REFUSED = [
    ("", Z, "JSON Parse error"),
    ('{"instances": [[1, 2]]', Z, "JSON Parse error"),
    ("[1, 2]", Z, "Is not object"),
    ("[" * 100_000, Z, "nested too deeply"),
    ('{"instances": [[' + "9" * 5000 + ", 1]]}", Z, "JSON Parse error"),
    ("{}", Z, "Missing 'inputs' or 'instances' key"),
    ('{"inputs": [[1, 2]], "instances": [[1, 2]]}', Z, "only one of 'inputs' or 'instances'"),
    ('{"instances": {"z": [1, 2]}}', Z, "to be a list/array"),
    ('{"instances": []}', Z, "No values in 'instances' array"),
    ('{"instances": [{"z": [1, 2]}, [1, 2]]}', Z, "Expecting object at item 1"),
    ('{"instances": [[1, 2], {"z": [1, 2]}]}', Z, "Expecting value/list at item 1"),
    ('{"instances": [{"z": [1, 2], "y": 1}]}', Z, "keys must be equal to: z"),
    ('{"instances": [3]}', BOTH, "expecting list of objects"),
    ('{"inputs": [3]}', BOTH, "expecting an object"),
    ('{"inputs": {"seed": [3]}}', BOTH, "Missing named input: images"),
    ('{"inputs": {"z": [["1", 2]]}}', Z, 'JSON Value: "1" is not of expected type: float32'),
    ('{"inputs": {"z": [[true, 2]]}}', Z, "JSON Value: true is not of expected type: float32"),
    ('{"inputs": {"z": [[null, 2]]}}', Z, "JSON Value: null is not"),
    ('{"inputs": {"z": [[{"b64": "AA=="}, 2]]}}', Z, "is not of expected type: float32"),
    ('{"inputs": {"z": [[1, 2], [3]]}}', Z, "differ in length or depth"),
    ('{"inputs": {"z": [[1, [2]]]}}', Z, "differ in length or depth"),
    ('{"inputs": {"z": ' + "[" * 200 + "]" * 200 + "}}", Z, "differ in length or depth"),
    ('{"inputs": {"z": [[1, 2, 3]]}}', Z, "has the shape [1,3]: expected [N,2]"),
    ('{"inputs": {"z": [1, 2]}}', Z, "has the shape [2]: expected [N,2]"),
    ('{"inputs": {"z": 1}}', Z, "has the shape []: expected [N,2]"),
    ('{"inputs": [1, 2, 3, 4, 5]}', SEED, "has 5 rows: expected at most 4"),
    ('{"inputs": {"z": [[16777217, 2]]}}', Z, "without loss of precision"),
    ('{"inputs": {"z": [[1e39, 2]]}}', Z, "without loss of precision"),
    ('{"inputs": [1.0]}', SEED, "is not of expected type: int32"),
    ('{"inputs": [2147483648]}', SEED, "without loss of precision"),
    ('{"inputs": [-1]}', PIXELS, "without loss of precision"),
    ('{"inputs": [1]}', FLAGS, "is not of expected type: bool"),
]


@pytest.mark.parametrize(("text", "specs", "message"), REFUSED, ids=[r[0][:60] for r in REFUSED])
def test_refused(text, specs, message):
    with pytest.raises(Refusal) as refusal:
        read(text, specs)
    assert message in refusal.value.message and len(refusal.value.message) < 1100
    assert refusal.value.code == grpc.StatusCode.INVALID_ARGUMENT


def test_types_that_json_is_not_converted_to():
    for dtype in (tf.string, tf.float16, tf.bfloat16, tf.complex64):
        with pytest.raises(Refusal) as refusal:
            read('{"inputs": [1]}', {"x": tf.TensorSpec([None], dtype)})
        assert refusal.value.code == grpc.StatusCode.UNIMPLEMENTED


def test_signature_name():
    assert tensors.signature_name({"signature_name": "sample"}) == "sample"
    assert tensors.signature_name({}) == ""
    with pytest.raises(Refusal, match="must be a string"):
        tensors.signature_name({"signature_name": 3})


def test_responses():
    one = {"images": np.array([[0.1, np.nan], [np.inf, 4]], np.float32)}
    two = {**one, "z": np.array([1, 2], np.int32)}
    rows = json.loads(tensors.to_json(one, rows=True))["predictions"]
    np.testing.assert_array_equal(np.array(rows, np.float32), one["images"])
    assert json.loads(tensors.to_json(two, rows=True))["predictions"][0]["z"] == 1
    columns = json.loads(tensors.to_json(one, rows=False))["outputs"]
    np.testing.assert_array_equal(np.array(columns, np.float32), one["images"])
    assert json.loads(tensors.to_json(two, rows=False))["outputs"]["z"] == [1, 2]
    for odd in ({"a": np.float32(3)}, {"a": np.zeros(2), "b": np.zeros(3)}):
        with pytest.raises(Refusal, match="no common batch size"):
            tensors.to_json(odd, rows=True)


@pytest.mark.parametrize(
    ("proto", "message"),
    [
        (tf.make_tensor_proto(np.zeros((1, 2))), "to be float32 but DT_DOUBLE is provided"),
        (tf.make_tensor_proto(np.zeros((1, 3), np.float32)), "has the shape [1,3]"),
        (tf.make_tensor_proto(np.zeros((9, 2), np.float32)), "has 9 rows"),
        (tensor_pb2.TensorProto(dtype=99), "99 is provided"),
    ],
)
def test_protos_that_do_not_fit(proto, message):
    with pytest.raises(Refusal) as refusal:
        tensors.from_protos({"z": proto}, Z, ROWS)
    assert message in refusal.value.message


def test_a_proto_that_declares_more_than_it_holds():
    proto = tf.make_tensor_proto(np.zeros((1, 2), np.float32))
    proto.tensor_shape.dim[0].size = 1 << 50
    with pytest.raises(Refusal, match="rows: expected at most 4"):
        tensors.from_protos({"z": proto}, Z, ROWS)
    proto.tensor_shape.dim[0].size = 3
    with pytest.raises(Refusal, match="cannot be read"):
        tensors.from_protos({"z": proto}, Z, ROWS)
    proto.tensor_shape.dim[0].size = -1
    with pytest.raises(Refusal, match="has the shape"):
        tensors.from_protos({"z": proto}, Z, ROWS)


def test_missing_and_extra_protos():
    proto = tf.make_tensor_proto(np.zeros((1, 2), np.float32))
    with pytest.raises(Refusal) as refusal:
        tensors.from_protos({"y": proto}, Z, ROWS)
    assert "Sent extra: {y}. Missing but required: {z}." in refusal.value.message


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3) | st.just("z"), inner)
    ),
    max_leaves=12,
)
keys = st.sampled_from(["instances", "inputs", "signature_name", "other"])


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(keys, values, max_size=3), st.sampled_from([Z, SEED, BOTH, PIXELS, FLAGS]))
def test_any_document_is_converted_or_refused(document, specs):
    try:
        arrays, _ = tensors.from_json(document, specs, ROWS)
    except Refusal:
        return
    for name, spec in specs.items():
        assert spec.shape.is_compatible_with(arrays[name].shape) and len(arrays[name]) <= ROWS


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(width=32), min_size=2, max_size=2), st.booleans())
def test_floats_come_back_bit_for_bit(row, rows):
    sent = np.array([row], np.float32)
    body = tensors.to_json({"z": sent}, rows)
    document = {"instances" if rows else "inputs": next(iter(json.loads(body).values()))}
    np.testing.assert_array_equal(tensors.from_json(document, Z, ROWS)[0]["z"], sent)
