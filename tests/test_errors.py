import pytest
import tensorflow as tf

from zoo.errors import reason

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
