"""The conversions, as pure functions: by NumPy's own, and by the rules of TF Serving's JSON."""

import json

import grpc
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tensorflow.core.framework import tensor_pb2

from zoo.export.serving import tensors
from zoo.export.serving.limits import Refusal

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
    ('{"inputs": {"z": [["NaN", "-Infinity"]]}}', Z, {"z": [[np.nan, -np.inf]]}),
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
    ('{"inputs": {"z": [["nan", 2]]}}', Z, 'JSON Value: "nan" is not of expected type: float32'),
    ('{"inputs": ["NaN"]}', SEED, 'JSON Value: "NaN" is not of expected type: int32'),
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


def strictly(body):
    """Parses what is JSON by RFC 8259, which has no NaN."""

    def no_json(token):
        raise AssertionError(f"{token} is no JSON")

    return json.loads(body, parse_constant=no_json)


FLOATS = (tf.float16, tf.bfloat16, tf.float32, tf.float64)


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.name)
@pytest.mark.parametrize("rows", [True, False])
def test_what_is_not_finite_is_a_string(dtype, rows):
    values = [[0.5, np.nan], [np.inf, -np.inf]]
    outputs = {"x": np.array(values).astype(dtype.as_numpy_dtype), "n": np.arange(2)}
    (answer,) = strictly(tensors.to_json(outputs, rows)).values()
    expected = [[0.5, "NaN"], ["Infinity", "-Infinity"]]
    assert ([row["x"] for row in answer] if rows else answer["x"]) == expected
    scalar = {"x": np.array(np.nan).astype(dtype.as_numpy_dtype)}
    assert strictly(tensors.to_json(scalar, rows=False)) == {"outputs": "NaN"}


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 25), min_size=1, max_size=4), st.booleans(), st.booleans())
def test_large_outputs_are_written_as_small_ones(shape, rows, finite):
    array = np.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape) / 7
    if not finite:
        array[array > 9] = np.inf
    body = strictly(tensors.to_json({"x": array}, rows))
    values = np.array(next(iter(body.values())), np.float32)
    np.testing.assert_array_equal(values.reshape(shape), array)


@pytest.mark.parametrize("dtype", [tf.complex64, tf.string, tf.qint8], ids=lambda d: d.name)
def test_outputs_that_json_has_no_form_for(dtype):
    with pytest.raises(Refusal, match=f"output 'x': .* type: {dtype.name}"):
        tensors.to_json({"x": np.zeros(2, dtype.as_numpy_dtype)}, rows=False)


dtypes = st.sampled_from([tf.float32, tf.int32, tf.bool])
shapes = st.lists(st.integers(1, 3), max_size=3)
signatures = st.dictionaries(
    st.sampled_from("abc"), st.tuples(dtypes, shapes), min_size=1, max_size=3
)


@settings(max_examples=200, deadline=None)
@given(st.lists(signatures, min_size=1, max_size=3), st.integers(1, 5), st.booleans())
def test_no_request_that_would_be_accepted_has_too_many_values(signatures, rows, indented):
    specs = [
        {name: tf.TensorSpec([None, *shape], dtype) for name, (dtype, shape) in each.items()}
        for each in signatures
    ]
    most = tensors.most_values(specs, rows)
    for each in specs:
        full = {
            name: np.zeros([rows, *spec.shape[1:]], spec.dtype.as_numpy_dtype).tolist()
            for name, spec in each.items()
        }
        by_row = [dict(zip(full, row, strict=True)) for row in zip(*full.values(), strict=True)]
        for document in ({"inputs": full}, {"signature_name": "x", "instances": by_row}):
            body = json.dumps(document, indent=1 if indented else None).encode()
            arrays, _ = tensors.from_json(tensors.parse(body, most), each, rows)
            assert all(len(array) == rows for array in arrays.values())


def test_more_values_than_any_request_has():
    body = b'{"instances": [' + b"[]," * 2000 + b"[]]}"
    most = tensors.most_values([Z], ROWS)
    with pytest.raises(Refusal, match=f"has 4003 values: expected at most {most}"):
        tensors.parse(body, most)
    for unbounded in (tf.TensorShape(None), [None, None]):
        assert tensors.most_values([Z, {"x": tf.TensorSpec(unbounded)}], ROWS) is None


def test_rows_are_counted_before_they_are_converted():
    rows = [[object()]] * (ROWS + 1)  # which no conversion would take
    with pytest.raises(Refusal, match="has 5 rows: expected at most 4"):
        tensors.from_json({"inputs": rows}, Z, ROWS)


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


@pytest.mark.parametrize("field", ["float_val", "int_val", "string_val"])
def test_a_proto_that_holds_more_than_it_declares(field):
    proto = tensor_pb2.TensorProto(dtype=tf.float32.as_datatype_enum)
    for size in (1, 2):
        proto.tensor_shape.dim.add(size=size)
    getattr(proto, field).extend([b"" if field == "string_val" else 1] * 100_000)
    with pytest.raises(Refusal, match=r"has 100000 values for the shape \[1,2\]"):
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
@example([float(np.finfo(np.float32).max), -0.1], True)  # whose shortest text is a larger double
def test_floats_come_back_bit_for_bit(row, rows):
    sent = np.array([row], np.float32)
    body = tensors.to_json({"z": sent}, rows)
    document = {"instances" if rows else "inputs": next(iter(json.loads(body).values()))}
    np.testing.assert_array_equal(tensors.from_json(document, Z, ROWS)[0]["z"], sent)
