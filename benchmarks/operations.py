"""How many floating-point operations the matrix products of a traced function have, and how fast
this device multiplies."""

from __future__ import annotations

import math
from collections.abc import Iterator

import tensorflow as tf

from benchmarks.timing import seconds

SIDE = 2048  # of the matrices that give two cores' rate; chosen

# Where an operation has its kernel [h, w, in, out] and the smaller of its two images [N, H, W, C].
_CONVOLUTIONS = {
    "Conv2D": lambda op: (op.inputs[1], op.outputs[0]),
    "Conv2DBackpropInput": lambda op: (op.inputs[1], op.inputs[2]),
    "Conv2DBackpropFilter": lambda op: (op.outputs[0], op.inputs[2]),
}


def operations(function: tf.types.experimental.ConcreteFunction) -> float:
    """Of all matrix products and convolutions that are executed, two per multiply-add; what is in
    a loop's body is not seen.

    The gradient of a convolution is traced with regard to both of its inputs, and TensorFlow drops
    the one that nothing asks for: what no output and no assignment follows from does not count.

    Raises:
        ValueError: a shape in it is not known.
    """
    graph = function.graph
    pending = [*(tensor.op for tensor in graph.outputs), *graph.control_outputs]
    needed: set[tf.Operation] = set()
    while pending:
        op = pending.pop()
        if op not in needed:
            needed.add(op)
            pending += [*(tensor.op for tensor in op.inputs), *op.control_inputs]
    return 2.0 * sum(map(multiply_adds, needed))


def multiply_adds(op: tf.Operation) -> int:
    """Of one operation; 0 of others than products.

    Raises:
        ValueError: its shape is not known.
    """
    if op.type in _CONVOLUTIONS:
        kernel, image = (list(_known(tensor)) for tensor in _CONVOLUTIONS[op.type](op))
        return math.prod(image[:3]) * math.prod(kernel)
    if op.type in ("MatMul", "BatchMatMulV2"):
        transposed = op.get_attr("transpose_a" if op.type == "MatMul" else "adj_x")
        inner = list(_known(op.inputs[0]))[-2 if transposed else -1]
        return math.prod(_known(op.outputs[0])) * inner
    return 0


def _known(tensor: tf.Tensor) -> Iterator[int]:
    if not tensor.shape.is_fully_defined():
        raise ValueError(f"{tensor.name} has the shape {tensor.shape}: expected a known one")
    yield from tensor.shape


def operations_per_second(dtype: str = "float32", side: int = SIDE) -> float:
    """Of a product of two matrices `[side, side]`, measured now."""
    matrix = tf.cast(tf.random.uniform([side, side]), dtype)
    product = tf.function(lambda: tf.reduce_sum(tf.matmul(matrix, matrix)))
    product()
    return 2.0 * side**3 / seconds(lambda: product().numpy(), 5)
