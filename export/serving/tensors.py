"""Requests and responses <-> arrays: JSON in rows or columns, and TensorProtos.

Pure functions of what was sent and of the signature's specs. Whatever does not fit is refused with
INVALID_ARGUMENT, and before time and memory are spent on it: JSON is parsed and written in one go,
during which no other thread runs.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import grpc
import numpy as np
import orjson
import tensorflow as tf
from tensorflow.core.framework import types_pb2

from zoo.export.serving.limits import Refusal, invalid

Specs = Mapping[str, tf.TensorSpec]
Arrays = dict[str, np.ndarray]

_PROTO_TYPES = {number: name for name, number in types_pb2.DataType.items()}
# What a JSON value must be, by the kind of the input's dtype; JSON has no other numbers.
_JSON_TYPES: dict[str, set[type]] = {"f": {int, float}, "i": {int}, "u": {int}, "b": {bool}}
# JSON has no token for these: they are strings, as in the JSON form of protocol buffers.
_NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_TOKEN = re.compile("|".join(_NON_FINITE))
_OTHER_VALUES = 1000  # of keys that no signature asks for; chosen
_PIECE = 10_000  # numbers that are written in one go, at most some 10 ms; chosen


def most_values(signatures: Iterable[Specs], max_rows: int) -> int | None:
    """How many JSON values the largest request for one of them has, every list and row counted.

    None where a signature does not bound them.
    """
    most = 0
    for specs in signatures:
        count = _OTHER_VALUES + max_rows
        for spec in specs.values():
            sizes = spec.shape.as_list()[1:] if spec.shape.rank is not None else [None]
            if None in sizes:
                return None
            of_row = 1
            for size in reversed(sizes):
                of_row = 1 + size * of_row
            count += 1 + max_rows * of_row
        most = max(most, count)
    return most


def parse(body: bytes, most: int | None = None) -> dict[str, Any]:
    """The JSON object of a request's body, of `most` values."""
    # Each value but the outermost follows one of these, and counting bytes takes no time.
    values = sum(map(body.count, (b",", b"[", b"{")))
    if most is not None and values > most:
        raise invalid(f"the request has {values} values: expected at most {most}")
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
    if isinstance(value, list) and spec.shape.rank:
        _check_rows(name, len(value), max_rows)
    # Of objects, so that no number is converted before it is judged.
    objects = np.array(value, dtype=object)
    values = objects.ravel().tolist()
    if kind == "f":
        values = [_NON_FINITE.get(v, v) if type(v) is str else v for v in values]
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
        info = np.finfo(dtype)
        exact = 2 ** (info.nmant + 1) - 1  # the largest integer that float holds
        # The least that rounds to no number: half a unit in the last place above the largest.
        beyond = float(info.max) + 2.0 ** (info.maxexp - info.nmant - 2)
        lossy = [
            v for v in values if (abs(v) > exact if type(v) is int else beyond <= abs(v) < np.inf)
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
    return np.array(values, dtype).reshape(objects.shape)


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
        held = max((len(v) for f, v in proto.ListFields() if f.name.endswith("_val")), default=0)
        if held > math.prod(shape) * (2 if spec.dtype.is_complex else 1):
            raise invalid(f"input {name!r} has {held} values for the shape {_shape(shape)}")
        try:
            arrays[name] = tf.make_ndarray(proto)
        except (ValueError, TypeError) as error:
            raise invalid(f"input {name!r} cannot be read: {error}") from None
    return arrays


def to_json(outputs: Mapping[str, np.ndarray], rows: bool) -> bytes:
    """The body of the response; the only output of a signature loses its name.

    Values that are not finite are the strings NaN, Infinity and -Infinity.
    """
    for name, array in outputs.items():
        dtype = tf.dtypes.as_dtype(array.dtype)
        if not (dtype.is_floating or dtype.is_integer or dtype.is_bool):
            raise invalid(
                f"output {name!r}: Failed to write JSON value for tensor type: {dtype.name}"
            )
    if not rows:
        return _document("outputs", _named(outputs, [_text(a) for a in outputs.values()]))
    sizes = {array.shape[:1] for array in outputs.values()}
    if len(sizes) != 1 or sizes == {()}:
        raise invalid("the outputs have no common batch size: send 'inputs', not 'instances'")
    columns = [map(_text, array) for array in outputs.values()]
    items = [_named(outputs, row) for row in zip(*columns, strict=True)]
    return _document("predictions", b"[%b]" % b", ".join(items))


def _document(key: str, text: bytes) -> bytes:
    return b'{"%b": %b}' % (key.encode(), text)


def _named(names: Iterable[str], texts: Sequence[bytes]) -> bytes:
    if len(texts) == 1:
        return texts[0]
    pairs = (b"%b: %b" % (orjson.dumps(n), text) for n, text in zip(names, texts, strict=True))
    return b"{%b}" % b", ".join(pairs)


def _text(array: np.ndarray) -> bytes:
    """The JSON text of an array: the shortest that its dtype reads back without loss."""
    if array.ndim and array.size > _PIECE:
        return b"[%b]" % b", ".join(map(_text, array))
    if array.dtype == tf.bfloat16.as_numpy_dtype:
        array = array.astype(np.float32)  # without loss; orjson knows no bfloat16
    if np.isfinite(array).all():
        scalar_or_array = np.asarray(array, order="C")[()]
        return orjson.dumps(scalar_or_array, option=orjson.OPT_SERIALIZE_NUMPY)
    return _TOKEN.sub(r'"\g<0>"', json.dumps(array.tolist())).encode()


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
    if shape:
        _check_rows(name, shape[0], max_rows)


def _check_rows(name: str, rows: int, max_rows: int) -> None:
    if rows > max_rows:
        raise invalid(
            f"input {name!r} has {rows} rows: expected at most {max_rows}, the server's "
            "max_batch_size"
        )


def _shape(shape: Sequence[int | None]) -> str:
    return f"[{','.join('N' if size is None else str(size) for size in shape)}]"


def _shown(value: Any) -> str:
    # Piece by piece, since the whole may be large.
    text = "".join(itertools.islice(json.JSONEncoder().iterencode(value), 101))
    return text if len(text) <= 100 else text[:100] + "..."
