"""Requests and responses <-> arrays: JSON in rows or columns, and TensorProtos.

Pure functions of what was sent and of the signature's specs. Whatever does not fit is refused with
INVALID_ARGUMENT, and before memory is spent on it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2

from export.serving.limits import Refusal, invalid

Specs = Mapping[str, tf.TensorSpec]
Arrays = dict[str, np.ndarray]

_PROTO_TYPES = {number: name for name, number in types_pb2.DataType.items()}
# What a JSON value must be, by the kind of the input's dtype; JSON has no other numbers.
_JSON_TYPES = {"f": {int, float}, "i": {int}, "u": {int}, "b": {bool}}


def parse(body: bytes) -> dict[str, Any]:
    """The JSON object of a request's body."""
    try:
        document = json.loads(body)
    except RecursionError:
        raise invalid("JSON Parse error: nested too deeply") from None
    except ValueError as error:  # also of the encoding, and of numbers with thousands of digits
        raise invalid(f"JSON Parse error: {error}") from None
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {_shown(document)} Is not object")
    return document


def signature_name(document: dict[str, Any]) -> str:
    """The `signature_name` of a request; empty for the default."""
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid("'signature_name' key must be a string value")
    return name


def from_json(document: dict[str, Any], specs: Specs, max_rows: int) -> tuple[Arrays, bool]:
    """The inputs of a request, and whether it came in rows."""
    rows = "instances" in document
    if rows and "inputs" in document:
        raise invalid("expecting only one of 'inputs' or 'instances' keys to exist")
    if not rows and "inputs" not in document:
        raise invalid("Missing 'inputs' or 'instances' key")
    columns = (
        _columns_of_rows(document["instances"], specs)
        if rows
        else _columns(document["inputs"], specs)
    )
    return {name: _array(name, columns[name], specs[name], max_rows) for name in specs}, rows


def _columns_of_rows(instances: Any, specs: Specs) -> dict[str, Any]:
    if not isinstance(instances, list):
        raise invalid("Expecting 'instances' to be a list/array")
    if not instances:
        raise invalid("No values in 'instances' array")
    named = isinstance(instances[0], dict)
    if not named and len(specs) > 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple input tensors "
            f"required: {','.join(specs)}"
        )
    for item, row in enumerate(instances):
        if isinstance(row, dict) != named:
            raise invalid(
                f"Expecting {'object' if named else 'value/list'} at item {item} of 'instances'"
            )
        if named and row.keys() != specs.keys():
            raise invalid(
                f"Failed to process element: {item} of 'instances' list. JSON object: "
                f"{_shown(row)} keys must be equal to: {','.join(specs)}"
            )
    if named:
        return {name: [row[name] for row in instances] for name in specs}
    return dict.fromkeys(specs, instances)


def _columns(inputs: Any, specs: Specs) -> dict[str, Any]:
    if not isinstance(inputs, dict):
        if len(specs) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors "
                f"required: {','.join(specs)}"
            )
        return dict.fromkeys(specs, inputs)
    for name in specs:
        if name not in inputs:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
    return inputs


def _array(name: str, value: Any, spec: tf.TensorSpec, max_rows: int) -> np.ndarray:
    """A nested list as an array of the input's dtype, without loss."""
    dtype = spec.dtype.as_numpy_dtype
    kind = np.dtype(dtype).kind
    if kind not in _JSON_TYPES or spec.dtype in (tf.float16, tf.bfloat16):
        raise Refusal(
            grpc.StatusCode.UNIMPLEMENTED,
            f"input {name!r}: Conversion of JSON Value to type: {spec.dtype.name}",
        )
    # Of objects, so that no number is converted before it is judged.
    objects = np.array(value, dtype=object)
    values = objects.ravel().tolist()
    for seen in set(map(type, values)) - _JSON_TYPES[kind]:
        if seen is list:
            raise invalid(
                f"input {name!r}: its lists differ in length or depth: expected the shape "
                f"{_shape(spec.shape)}"
            )
        first = next(v for v in values if type(v) is seen)
        raise invalid(
            f"input {name!r}: JSON Value: {_shown(first)} is not of expected type: "
            f"{spec.dtype.name}"
        )
    check_shape(name, objects.shape, spec, max_rows)
    if kind == "f":
        exact = 2 ** (np.finfo(dtype).nmant + 1) - 1  # the largest integer that float holds
        largest = float(np.finfo(dtype).max)
        lossy = [
            v for v in values if (abs(v) > exact if type(v) is int else largest < abs(v) < np.inf)
        ]
    elif kind in "iu":
        limits = np.iinfo(dtype)
        lossy = [v for v in values if not limits.min <= v <= limits.max]
    else:
        lossy = []
    if lossy:
        raise invalid(
            f"input {name!r}: Cannot convert JSON value: {_shown(lossy[0])} to {spec.dtype.name} "
            "without loss of precision."
        )
    return objects.astype(dtype)


def from_protos(protos: Mapping[str, Any], specs: Specs, max_rows: int) -> Arrays:
    """The inputs of a PredictRequest."""
    if protos.keys() != specs.keys():
        extra, missing = protos.keys() - specs.keys(), specs.keys() - protos.keys()
        raise invalid(
            f"input size does not match signature: {len(protos)}!={len(specs)}. Sent extra: "
            f"{{{','.join(sorted(extra))}}}. Missing but required: {{{','.join(sorted(missing))}}}."
        )
    arrays = {}
    for name, spec in specs.items():
        proto = protos[name]
        if proto.dtype != spec.dtype.as_datatype_enum:
            raise invalid(
                f"Expects input {name!r} to be {spec.dtype.name} but "
                f"{_PROTO_TYPES.get(proto.dtype, proto.dtype)} is provided"
            )
        # Before the values: a proto of few bytes may declare a shape of many.
        shape = [dimension.size for dimension in proto.tensor_shape.dim]
        check_shape(name, shape, spec, max_rows)
        try:
            arrays[name] = tf.make_ndarray(proto)
        except (ValueError, TypeError) as error:
            raise invalid(f"input {name!r} cannot be read: {error}") from None
    return arrays


def to_json(outputs: Mapping[str, np.ndarray], rows: bool) -> bytes:
    """The body of the response; the only output of a signature loses its name."""
    values = {name: array.tolist() for name, array in outputs.items()}
    only = next(iter(values.values())) if len(values) == 1 else None
    if not rows:
        return json.dumps({"outputs": values if only is None else only}).encode()
    sizes = {array.shape[:1] for array in outputs.values()}
    if len(sizes) != 1 or sizes == {()}:
        raise invalid("the outputs have no common batch size: send 'inputs', not 'instances'")
    items = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    return json.dumps({"predictions": items if only is None else only}).encode()


def check_shape(name: str, shape: Sequence[int], spec: tf.TensorSpec, max_rows: int) -> None:
    """Refuses a shape that is not the input's, or has too many rows; the graph refuses zero."""
    wanted = spec.shape.as_list()
    fits = len(shape) == len(wanted) and all(
        have >= 0 and want in (None, have) for have, want in zip(shape, wanted, strict=True)
    )
    if not fits:
        raise invalid(
            f"input {name!r} has the shape {_shape(shape)}: expected {_shape(spec.shape)}"
        )
    if shape and shape[0] > max_rows:
        raise invalid(
            f"input {name!r} has {shape[0]} rows: expected at most {max_rows}, the server's "
            "max_batch_size"
        )


def _shape(shape: Sequence[int | None]) -> str:
    return f"[{','.join('N' if size is None else str(size) for size in shape)}]"


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 100 else text[:100] + "..."
