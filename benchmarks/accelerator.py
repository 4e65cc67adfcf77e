"""What each model gives on this machine's device, as a table to paste.

`python -m benchmarks.accelerator` trains every model for some hundred steps in float32 and in mixed
precision, with XLA and without, by 1 and by 50 steps a call from Python, and prints images per
second, the device's peak memory and the share of the rate at which it multiplies large matrices.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Iterator

import tensorflow as tf

from benchmarks.operations import operations, operations_per_second
from benchmarks.run import conditions
from benchmarks.training import seconds_of_a_step
from zoo.config import RunConfig
from zoo.errors import reason
from zoo.markdown import line, table
from zoo.models import build_model
from zoo.registry import MODELS, source_of

# Of the networks, and of the products inside them.
PRECISIONS = {"float32": "float32", "mixed_bfloat16": "bfloat16"}
PARTS = 3  # of a run, the last two of which are timed


def main(argv: list[str] | None = None) -> None:
    """Prints the table, each row as soon as it is measured."""
    parser = argparse.ArgumentParser(prog="benchmarks.accelerator", description=__doc__)
    parser.add_argument("--models", default=",".join(MODELS), help="comma-separated")
    parser.add_argument("--dataset", default="color_mnist_mini")
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--calls", type=int, default=6, help="to each of three parts of a run")
    parser.add_argument("--steps_per_call", default="1,50", help="comma-separated")
    parser.add_argument("--matrix", type=int, default=8192, help="side of the large matrices")
    arguments = parser.parse_args(argv)
    per_call = [int(steps) for steps in arguments.steps_per_call.split(",")]
    rates = {p: operations_per_second(kind, arguments.matrix) for p, kind in PRECISIONS.items()}
    print(conditions(f"device: {_device()}"))
    for precision, rate in rates.items():
        print(f"- matrix products in {precision}: {rate / 1e12:.3g} TFLOP/s")
    speeds = [f"images/s, {steps} a call" for steps in per_call]
    columns = ["model", "precision", "XLA", *speeds, "peak memory", "share of the matrix rate"]
    print(f"\n{table(columns)}", end="", flush=True)
    sizes = {n: getattr(arguments, n) for n in ("dataset", "width", "batch_size")}
    for model in arguments.models.split(","):
        for precision, rate in rates.items():
            for jit in (False, True):
                how = {"dtype_policy": precision, "jit_compile": jit}
                cells = _cells(model, sizes, how, per_call, arguments.calls, rate)
                row = [model, precision, "on" if jit else "off", *cells]
                print(line(row), end="", flush=True)


def _cells(
    model: str, sizes: dict, how: dict, per_call: list[int], calls: int, rate: float
) -> Iterator[str]:
    """Images per second by steps a call, memory, and the share of `rate` at the best of them."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        tf.config.experimental.reset_memory_stats("GPU:0")
    fastest = None
    for steps in per_call:
        # As many steps for each number a call, so that a start weighs the same.
        each = calls * max(per_call) // steps * steps
        time = _tried(
            lambda steps=steps, each=each: seconds_of_a_step(
                model, steps=PARTS * each, steps_per_execution=steps, **sizes, **how
            )
        )
        if isinstance(time, str):
            yield time
            continue
        fastest = min(time, fastest or time)
        yield f"{sizes['batch_size'] / time:.4g}"
    peak = tf.config.experimental.get_memory_info("GPU:0")["peak"] if gpus else None
    yield "-" if peak is None else f"{peak / 2**20:.0f} MB"
    yield "-" if fastest is None else f"{_operations(model, **sizes) / fastest / rate:.1%}"


def _tried(measure: Callable[[], float]) -> float | str:
    """What was measured, or why not: one setting that a device does not take costs no table."""
    try:
        return measure()
    except Exception as error:
        return f"failed: {reason(error)[:80]}".replace("|", "/")


@functools.cache
def _operations(model: str, dataset: str, width: float, batch_size: int) -> float:
    """Floating-point operations of the matrix products of a step, whatever its precision."""
    config = RunConfig.create(model=model, dataset=dataset, width=width)
    shape = source_of(dataset).image_shape
    built = build_model(config.model, shape)
    built.compile()
    passes = (built.passes,) if built.passes > 1 else ()
    batch = tf.TensorSpec((batch_size, *passes, *shape))
    return operations(tf.function(built.train_step).get_concrete_function(batch))


def _device() -> str:
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        return tf.config.experimental.get_device_details(gpus[0]).get("device_name", gpus[0].name)
    return "CPU"


if __name__ == "__main__":
    main()
