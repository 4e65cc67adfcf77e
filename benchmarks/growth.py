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
import multiprocessing
import statistics
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks import workers
from benchmarks.memory import peak_bytes
from benchmarks.peers.specification import CIFAR10, COLOR_MNIST
from benchmarks.run import conditions
from benchmarks.subjects import BATCH_SIZE, compiled, zoo_step
from benchmarks.timing import seconds
from zoo.evaluation.latent.aggregate_posterior import log_aggregate_posterior
from zoo.figures import panels
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
        make: the call to measure, of the size; None for workers.
    """

    name: str
    sizes: tuple[float, ...]
    theory: tuple[int, int]
    make: Callable[[float], Callable[[], object]] | None

    def point(self, size: float) -> tuple[float, float]:
        """Seconds and bytes, the latter of the peak over what this process has taken before."""
        if self.make is None:
            return workers.point(size)
        tf.function(lambda: tf.random.normal([64, 64]) @ tf.random.normal([64, 64]))()
        before = peak_bytes()
        call = self.make(size)
        call(), call()
        time = statistics.median(seconds(call) for _ in range(REPEATS))
        return time, float(peak_bytes() - before)


def of_width(size: float) -> Callable[[], object]:
    """A step at this multiple of the paper's feature maps."""
    return _step(width=size)


def of_latents(size: float) -> Callable[[], object]:
    """A step with so many latents."""
    return _step(latent_size=int(size))


def of_batch(size: float) -> Callable[[], object]:
    """A step on so many images."""
    return _step(int(size))


def of_side(size: float) -> Callable[[], object]:
    """A step on images of this side, whose networks have one more stage for each doubling."""
    spec = dataclasses.replace(CIFAR10, side=int(size))
    return zoo_step(compiled("vae", spec, width=0.25), spec, BATCH_SIZE)


def of_codes(size: float) -> Callable[[], object]:
    """The marginal KL of so many codes."""
    return _kl(codes=int(size))


def of_samples(size: float) -> Callable[[], object]:
    """The marginal KL at so many samples."""
    return _kl(samples=int(size))


def of_dimensions(size: float) -> Callable[[], object]:
    """The marginal KL of codes of this size."""
    return _kl(dimensions=int(size))


CURVES = (
    Curve("width (multiplier of feature maps)", (0.5, 1, 2, 4), (2, 2), of_width),
    Curve("latent size", (10, 100, 1000, 3000, 10_000), (1, 1), of_latents),
    Curve("batch", (16, 32, 64, 128, 256, 512), (1, 1), of_batch),
    Curve("side of the images", (32, 64, 128), (2, 2), of_side),
    Curve("N, codes (M = 500, D = 50)", (2_000, 8_000, 32_000, 128_000), (1, 1), of_codes),
    Curve("M, samples (N = 8,000, D = 50)", (125, 500, 2000, 8000), (1, 1), of_samples),
    Curve("D, latents (N = 8,000, M = 500)", (25, 100, 400, 1600), (1, 1), of_dimensions),
    Curve("workers", (1, 2, 4), (0, 1), None),
)


def main() -> None:
    """Measures and writes both files."""
    text = f"# Growth\n\n{conditions()}\n" + __doc__.split("\n\n", 1)[1]
    figure, axes = panels(2 * len(CURVES), columns=4)
    columns = ("against", "sizes", "seconds", "exponent", "MB", "exponent", "theory")
    lines = [columns, ("---",) * len(columns)]
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as pool:
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
            lines.append((*cells, "{}, {}".format(*curve.theory)))
            print(*lines[-1], sep=" | ", flush=True)
    save_picture(HERE / "growth.png", figure)
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    (HERE / "growth.md").write_text(f"{text}\n{table}\n![growth](growth.png)\n", encoding="utf-8")


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


def _step(batch_size: int = BATCH_SIZE, **settings: float) -> Callable[[], object]:
    return zoo_step(compiled("vae", COLOR_MNIST, **settings), COLOR_MNIST, batch_size)


def _kl(codes: int = 8000, samples: int = 500, dimensions: int = 50) -> Callable[[], object]:
    rng = np.random.default_rng(0)
    mean, z = (rng.standard_normal((n, dimensions)) for n in (codes, samples))
    stddev = np.full_like(mean, 0.5)
    return lambda: log_aggregate_posterior(z, mean, stddev)


if __name__ == "__main__":
    main()
