"""A calculation on paper, not a measurement: how a step and a checkpoint grow to 64 workers.

`python -m benchmarks.scaling` prints the tables of docs/distribution.md. Parameters and batch norms
are counted on the models; all else follows from `Assumptions`, which are assumptions. Every worker
keeps its share of the batch, so that the global batch grows with the workers.
"""

from __future__ import annotations

import dataclasses
import math

from zoo.config import ModelConfig
from zoo.markdown import table
from zoo.models import build_model

WORKERS = (1, 2, 4, 8, 16, 32, 64)
MODELS = (("vae", (28, 28, 3)), ("vgh_plus_plus", (64, 64, 3)))
COLUMNS = ("workers", "gradients", "batch norm", "flags", "step", "efficiency", "checkpoint")


@dataclasses.dataclass(frozen=True)
class Assumptions:
    """What the tables depend on.

    Attributes:
        compute: seconds of one worker's forward and backward pass over its share of the batch.
        bandwidth: bytes per second that a worker sends while it receives as much.
        latency: seconds of one message between neighbours of the ring.
        write: bytes per second to the storage of the run folder.
        every: steps between two checkpoints.
        per_batch_norm: small all-reduces of a synchronised batch norm, forward and backward.
        flags: further ones of a step: the fault record, the vote on stopping, Keras's own.
    """

    compute: float = 0.1
    bandwidth: float = 10e9 / 8  # 10 Gbit/s
    latency: float = 50e-6
    write: float = 200e6
    every: int = 500
    per_batch_norm: int = 6
    flags: int = 3


@dataclasses.dataclass(frozen=True)
class Size:
    """What is counted on a model: its parameters and its batch norms."""

    parameters: int
    batch_norms: int

    @classmethod
    def of(cls, name: str, image_shape: tuple[int, int, int]) -> Size:
        """That of a model of the paper's width."""
        model = build_model(ModelConfig(model=name), image_shape)
        parameters = sum(math.prod(v.shape) for v in model.trainable_variables)
        return cls(parameters, sum(v.name == "moving_mean" for v in model.non_trainable_variables))


def ring(size: float, workers: int, given: Assumptions) -> float:
    """Seconds of a ring all-reduce of `size` bytes: 2(n-1) messages of size/n, one after
    another."""
    return 2 * (workers - 1) * (given.latency + size / workers / given.bandwidth)


def row(model: Size, workers: int, given: Assumptions) -> tuple[str, ...]:
    """One line of the table; communication does not overlap with computing."""
    gradients = ring(4 * model.parameters, workers, given)
    batch_norm = model.batch_norms * given.per_batch_norm * ring(4, workers, given)
    flags = given.flags * ring(4, workers, given)
    step = given.compute + gradients + batch_norm + flags
    # The chief writes float32 weights and Adam's two moments, and all wait for it.
    checkpoint = 3 * 4 * model.parameters / given.write
    share = checkpoint / (given.every * step + checkpoint)
    times = [f"{1e3 * t:.3g} ms" for t in (gradients, batch_norm, flags, step)]
    return str(workers), *times, f"{given.compute / step:.0%}", f"{checkpoint:.2f} s, {share:.2%}"


def main() -> None:
    """Prints a table per model."""
    given = Assumptions()
    print(given)
    for name, shape in MODELS:
        size = Size.of(name, shape)
        print(f"\n`{name}`, {shape[0]} pixels: {size}\n")
        print(table(COLUMNS, (row(size, n, given) for n in WORKERS)), end="")


if __name__ == "__main__":
    main()
