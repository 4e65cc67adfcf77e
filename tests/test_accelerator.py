"""The benchmark that a GPU's owner runs, on a CPU in its place."""

import re

import pytest
import tensorflow as tf

from benchmarks import accelerator
from benchmarks.operations import operations
from benchmarks.peers.specification import SPECIFICATIONS
from benchmarks.subjects import compiled


@pytest.mark.parametrize(
    ("function", "count"),
    [
        (lambda x: tf.matmul(x, x, transpose_a=True), 2 * 6 * 6 * 5),
        (
            lambda x: tf.nn.conv2d(tf.reshape(x, (1, 5, 6, 1)), tf.ones((3, 3, 1, 4)), 1, "SAME"),
            2160,
        ),
        (tf.exp, 0),
        (lambda x: (tf.matmul(x, x, transpose_a=True), x)[1], 0),  # nothing follows from it
    ],
)
def test_operations_by_hand(function, count):
    spec = tf.TensorSpec((5, 6))
    assert operations(tf.function(function).get_concrete_function(spec)) == count


@pytest.mark.slow
@pytest.mark.parametrize("name", SPECIFICATIONS)
def test_operations_of_a_step(name):
    spec = SPECIFICATIONS[name]
    step = tf.function(compiled("vae", spec).train_step)
    traced = step.get_concrete_function(tf.TensorSpec((8, spec.side, spec.side, 3)))
    assert operations(traced) == pytest.approx(spec.vae_operations(8), rel=0.005)


@pytest.mark.slow
def test_operations_of_a_step_with_a_critic():
    """Of the convolutions and the dense layers by hand: `products` of an image each, forward."""
    spec = SPECIFICATIONS["cifar10"]
    step = tf.function(compiled("dcgan", spec).train_step)
    traced = step.get_concrete_function(tf.TensorSpec((8, spec.side, spec.side, 3)))
    convolutions = [16**2 * 16 * 3 * 64, 8**2 * 16 * 64 * 128, 4**2 * 16 * 128 * 256]
    critic = sum(convolutions) + 4**2 * 256
    decoder = sum(convolutions) + 128 * 4**2 * 256
    # The decoder: forward, its weights and, above its code, its inputs. The critic: twice forward,
    # on both its weights and, above the images, its inputs; for the decoder its inputs once more.
    products = 3 * decoder - 128 * 4**2 * 256 + 2 * (3 * critic - convolutions[0]) + critic
    assert operations(traced) == pytest.approx(2 * 8 * products, rel=0.005)


@pytest.mark.slow
def test_the_table(capsys):
    small = ("--models=vae,none", "--width=0.06", "--batch_size=8", "--matrix=256")
    accelerator.main([*small, "--calls=1", "--steps_per_call=1,2"])
    said = capsys.readouterr().out
    assert re.search(r"matrix products in mixed_bfloat16: \S+ TFLOP/s", said)
    head, rule, *rows = [line for line in said.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in (head, *rows)]
    assert {len(row) for row in cells} == {7} and rule.count("---") == 7
    assert [row[:3] for row in cells[1:5]] == [
        ["vae", precision, xla]
        for precision in ("float32", "mixed_bfloat16")
        for xla in ("off", "on")
    ]
    for row in cells[1:5]:
        assert all(float(speed) > 0 for speed in row[3:5]) and row[5] == "-"
        assert 0 < float(row[6].rstrip("%")) <= 100
    for row in cells[5:]:  # what fails leaves the others
        assert all("failed: model='none' is not known" in cell for cell in row[3:5])
