import numpy as np
import pytest
import tensorflow as tf

from zoo.errors import UsageError, is_out_of_memory, reason

GRAPH = """Graph execution error:

Detected at node Assert/AssertGuard defined at (most recent call last):
<stack traces unavailable>
assertion failed: [images must be finite] [255]
\t [[{{node Assert/AssertGuard}}]] [Op:__inference_step_3020]"""


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("No space left on device", "No space left on device"),
        ("{{function_node __wrapped__SaveV2}} /x: full [Op:SaveV2]", "/x: full"),
        ("one\ntwo", "one"),
        (GRAPH, "assertion failed: [images must be finite] [255]"),
        ("Graph execution error:\n", "InternalError"),
        ("", "InternalError"),
    ],
)
def test_the_reason_is_what_the_kernel_says(said, told):
    assert reason(tf.errors.InternalError(None, None, said)) == told


def test_of_a_real_graph():
    @tf.function
    def divide(x):
        return 1 // x

    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        divide(tf.constant([0]))
    assert reason(error.value) == "Integer division by zero"


ONE_DNN = "Operation received an exception:Status: {}, message: could not create a primitive"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (np.zeros, True),
        (tf.zeros, True),
        (tf.errors.AbortedError(None, None, ONE_DNN.format(1)), True),
        (tf.errors.AbortedError(None, None, ONE_DNN.format(3)), False),  # not implemented
        (tf.errors.UnknownError(None, None, "std::bad_alloc"), True),
        (RuntimeError("can't start new thread"), True),
        (tf.errors.AbortedError(None, None, "Collective ops is aborted by: Socket closed"), False),
        (UsageError("BOOM when allocating"), False),
    ],
)
def test_what_running_out_of_memory_looks_like(error, expected):
    if callable(error):
        with pytest.raises((MemoryError, tf.errors.ResourceExhaustedError)) as caught:
            error([1 << 44])
        error = caught.value
    assert is_out_of_memory(error) is expected
