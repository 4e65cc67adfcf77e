"""How time and memory grow: `python -m benchmarks.growth` writes `growth.png` and `growth.md`.

A VAE step against width, latent size, batch and the side of its images; the marginal KL against N,
M and D. Each point is a process of its own: the median time of repeats, and the peak of its memory
over what the process had before it built anything. Several workers train by `zoo-train`, on this
machine, whose processors and one batch of 64 they share; their memory is that of all together, with
TensorFlow's own. The exponents are the slopes of the logarithms at the upper end, where what does
not grow weighs least; theory's are those of what grows fastest.
"""

from __future__ import annotations

import dataclasses
import functools
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks import workers
from benchmarks.memory import peak_bytes
from benchmarks.peers.specification import CIFAR10, COLOR_MNIST
from benchmarks.run import conditions, fresh_processes
from benchmarks.subjects import BATCH_SIZE, compiled, zoo_step
from benchmarks.timing import seconds
from zoo.evaluation.latent.aggregate_posterior import log_aggregate_posterior
from zoo.figures import panels
from zoo.markdown import line, table
from zoo.pictures import save_picture

HERE = Path(__file__).parent
REPEATS, FITTED = 5, 3  # points at the upper end


@dataclasses.dataclass(frozen=True)
class Curve:
    """What grows with one size.

    Attributes:
        name: of the size.
        sizes: ascending.
        theory: the exponents of time and memory where all else is small.
        point: seconds and bytes of one size, measured in a process of its own.
    """

    name: str
    sizes: tuple[float, ...]
    theory: tuple[int, int]
    point: Callable[[Any], tuple[float, float]]


def point(make: Callable[..., Callable[[], object]], setting: str, size: float) -> tuple:
    """Seconds of the call that `make` gives for this setting, and the bytes of the peak over what
    the process has taken before."""
    tf.function(lambda: tf.random.normal([64, 64]) @ tf.random.normal([64, 64]))()
    before = peak_bytes()
    call = make(**{setting: size})
    call(), call()
    time = statistics.median(seconds(call) for _ in range(REPEATS))
    return time, float(peak_bytes() - before)


def step(batch_size: int = BATCH_SIZE, **settings: float) -> Callable[[], object]:
    """A VAE step on ColorMNIST's networks."""
    return zoo_step(compiled("vae", COLOR_MNIST, **settings), COLOR_MNIST, batch_size)


def step_on(side: int) -> Callable[[], object]:
    """A VAE step on larger images, whose networks have one more stage for each doubling."""
    spec = dataclasses.replace(CIFAR10, side=side)
    return zoo_step(compiled("vae", spec, width=0.25), spec)


def kl(codes: int = 8000, samples: int = 500, dimensions: int = 50) -> Callable[[], object]:
    """The marginal KL."""
    rng = np.random.default_rng(0)
    mean, z = (rng.standard_normal((n, dimensions)) for n in (codes, samples))
    stddev = np.full_like(mean, 0.5)
    return lambda: log_aggregate_posterior(z, mean, stddev)


def _curve(
    name: str,
    sizes: tuple[float, ...],
    theory: tuple[int, int],
    make: Callable[..., Callable[[], object]],
    setting: str,
) -> Curve:
    return Curve(name, sizes, theory, functools.partial(point, make, setting))


CURVES = (
    _curve("width (multiplier of feature maps)", (0.5, 1, 2, 4), (2, 2), step, "width"),
    _curve("latent size", (10, 100, 1000, 3000, 10_000), (1, 1), step, "latent_size"),
    _curve("batch", (16, 32, 64, 128, 256, 512), (1, 1), step, "batch_size"),
    _curve("side of the images", (32, 64, 128), (2, 2), step_on, "side"),
    _curve("N, codes (M = 500, D = 50)", (2_000, 8_000, 32_000, 128_000), (1, 1), kl, "codes"),
    _curve("M, samples (N = 8,000, D = 50)", (125, 500, 2000, 8000), (1, 1), kl, "samples"),
    _curve("D, latents (N = 8,000, M = 500)", (25, 100, 400, 1600), (1, 1), kl, "dimensions"),
    Curve("workers", (1, 2, 4), (0, 1), workers.point),
)
COLUMNS = ("against", "sizes", "seconds", "exponent", "MB", "exponent", "theory")


def main() -> None:
    """Measures and writes both files."""
    text = f"# Growth\n\n{conditions()}\n" + __doc__.split("\n\n", 1)[1]
    figure, axes = panels(2 * len(CURVES), columns=4)
    rows = []
    with fresh_processes() as pool:
        for i, curve in enumerate(CURVES):
            points = [pool.submit(curve.point, size).result() for size in curve.sizes]
            times, peaks = (np.array(values) for values in zip(*points, strict=True))
            cells = [curve.name, ", ".join(f"{size:,}" for size in curve.sizes)]
            for axis, values, unit in (
                (axes[2 * i], times, "s"),
                (axes[2 * i + 1], peaks / 1e6, "MB"),
            ):
                exponent = _exponent(curve.sizes, values)
                _draw(axis, curve, values, f"{unit}: exponent {exponent:.2f}")
                cells += [", ".join(f"{value:.3g}" for value in values), f"{exponent:.2f}"]
            rows.append((*cells, "{}, {}".format(*curve.theory)))
            print(line(rows[-1]), end="", flush=True)
    save_picture(HERE / "growth.png", figure)
    text += f"\n{table(COLUMNS, rows)}\n![growth](growth.png)\n"
    (HERE / "growth.md").write_text(text, encoding="utf-8")


def _exponent(sizes: tuple[float, ...], values: np.ndarray) -> float:
    return float(np.polyfit(np.log(sizes[-FITTED:]), np.log(values[-FITTED:]), 1)[0])


def _draw(axis: Any, curve: Curve, values: np.ndarray, title: str) -> None:
    axis.loglog(curve.sizes, values, "o-")
    axis.set(xlabel=curve.name, title=title)
    axis.set_xticks(curve.sizes, [f"{size:,}" for size in curve.sizes])
    axis.set_xticks([], minor=True)
    axis.set_yticks(values, [f"{value:.3g}" for value in values])
    axis.set_yticks([], minor=True)
    axis.grid(alpha=0.3)


if __name__ == "__main__":
    main()
