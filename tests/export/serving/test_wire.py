"""What the look at a message's bytes lets pass: every request, and nothing that takes long."""

import pytest
import tensorflow as tf
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2

from zoo.export.serving import wire
from zoo.export.serving.limits import Refusal

KINDS = [
    predict_pb2.PredictRequest,
    get_model_metadata_pb2.GetModelMetadataRequest,
    get_model_status_pb2.GetModelStatusRequest,
]
names = st.text(max_size=10)
tensors = st.lists(
    st.floats(width=32) | st.integers(-9, 9) | st.binary(max_size=4).map(bytes), max_size=5
).filter(lambda values: len({type(v) for v in values}) < 2)


@given(
    st.dictionaries(names, tensors, max_size=4),
    names,
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.lists(names, max_size=3),
)
def test_requests_pass(inputs, name, version, outputs):
    request = predict_pb2.PredictRequest(output_filter=outputs)
    request.model_spec.name = request.model_spec.signature_name = name
    if version is not None:
        request.model_spec.version.value = version
    for key, values in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(values))
    wire.check(request.SerializeToString(), request.DESCRIPTOR)


@settings(max_examples=300)
@given(st.binary(max_size=60), st.sampled_from(KINDS))
def test_what_is_refused_is_no_message(data, kind):
    try:
        wire.check(data, kind.DESCRIPTOR)
    except Refusal as refusal:
        if "wire type 3" not in refusal.message:  # groups: read by protobuf, sent by nobody
            with pytest.raises(DecodeError):
                kind.FromString(data)


def field(number, content):
    """A field of bytes, as protobuf writes it."""
    length, digits = len(content), b""
    while length > 127:
        digits += bytes([length & 127 | 128])
        length >>= 7
    return bytes([number << 3 | 2]) + digits + bytes([length]) + content


MANY = b"\x12\x00" * 20_000  # empty fields of number 2
FLOODS = {
    "entries of a map": MANY,
    "dimensions": field(2, field(2, field(2, MANY))),
    "texts": field(2, field(2, b"\x42\x00" * 20_000)),
    "names of outputs": b"\x1a\x00" * 20_000,
    "tensors in a tensor": field(2, field(2, field(15, b"\x1a\x00" * 20_000))),
    "unknown numbers": b"\xf8\x7f\x01" * 20_000,
}


@pytest.mark.parametrize("flood", FLOODS)
def test_floods_of_fields_are_refused(flood):
    predict_pb2.PredictRequest.FromString(FLOODS[flood])  # a message all the same
    with pytest.raises(Refusal, match="more than 10000 fields"):
        wire.check(FLOODS[flood], predict_pb2.PredictRequest.DESCRIPTOR)


def test_numbers_are_no_fields():
    request = predict_pb2.PredictRequest()
    request.inputs["z"].float_val.extend([0.5] * 1_000_000)
    wire.check(request.SerializeToString(), request.DESCRIPTOR)
