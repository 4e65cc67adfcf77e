"""What a step of each model takes: `python -m benchmarks.models` writes `models.md`.

Every model of the zoo with its own settings on ColorMNIST's networks at the paper's width, batch
64, each in a process of its own. A step is one update of every player, for `wgan_gp` and its kin
with their further updates of a critic; samples are decoded from codes, 64 at a time; memory is the
peak of the process above one that has built the decoder alone. The last column is the time that the
step's matrix products and convolutions take at the rate of a large product, as a share of the step.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from benchmarks.memory import peak_bytes
from benchmarks.operations import operations, operations_per_second
from benchmarks.peers.specification import COLOR_MNIST
from benchmarks.run import conditions, fresh_processes
from benchmarks.subjects import BATCH_SIZE, compiled, step_input, zoo_step
from benchmarks.timing import seconds
from zoo.markdown import line, table
from zoo.registry import MODELS

FILE = Path(__file__).with_suffix(".md")
REPEATS, CALLS = 7, 3
COLUMNS = ("model", "step, ms", "images/s", "samples/s", "memory, MB", "products' share")


def main() -> None:
    """Measures and writes the page."""
    about = __doc__.split("\n\n", 1)[1]
    head = f"# Every model\n\n{conditions()}\n{about}\n"
    rows = []
    with fresh_processes() as pool:
        idle = pool.submit(idle_bytes).result()
        for name in MODELS:
            rows.append((f"`{name}`", *pool.submit(row, name, idle).result()))
            print(line(rows[-1]), end="", flush=True)
    FILE.write_text(head + table(COLUMNS, rows), encoding="utf-8")


def idle_bytes() -> int:
    """The peak of a process that has only built and called a decoder."""
    _sampler("dcgan")()
    return peak_bytes()


def row(name: str, idle: int) -> tuple[str, ...]:
    """The cells of a model: those of `COLUMNS` but the first."""
    sample = _sampler(name)
    sample()
    model = compiled(name, COLOR_MNIST)
    step = zoo_step(model, COLOR_MNIST)
    step(), step()
    peak = peak_bytes() - idle
    time = statistics.median(seconds(step, CALLS) for _ in range(REPEATS))
    of_samples = statistics.median(seconds(sample, CALLS) for _ in range(REPEATS))
    traced = tf.function(model.train_step).get_concrete_function(step_input(model, COLOR_MNIST))
    share = operations(traced) / operations_per_second() / time
    return (
        f"{time * 1e3:.1f}",
        f"{BATCH_SIZE * model.passes / time:.0f}",
        f"{BATCH_SIZE / of_samples:.0f}",
        f"{peak / 1e6:.0f}",
        f"{share:.0%}",
    )


def _sampler(name: str) -> Callable[[], np.ndarray]:
    """64 codes decoded, in the numbers of the model's pixels."""
    model = compiled(name, COLOR_MNIST)
    decode = tf.function(model.decode)
    z = tf.random.stateless_normal([BATCH_SIZE, COLOR_MNIST.latent_size], (0, 0))
    return lambda: decode(z)["images"].numpy()


if __name__ == "__main__":
    main()
