"""How time grows: `python -m benchmarks.growth` writes `growth.png` and `growth.md`.

A VAE step against width, latent size and batch; the marginal KL against N and M. Each point is the
median of repeats; the exponent is the slope of log time over log size at the upper end, where what
does not grow weighs least.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.ticker import NullFormatter

from benchmarks.peers.specification import COLOR_MNIST
from benchmarks.run import conditions
from benchmarks.subjects import BATCH_SIZE, compiled, zoo_step
from benchmarks.timing import seconds
from zoo.evaluation.latent.aggregate_posterior import log_aggregate_posterior
from zoo.figures import panels
from zoo.pictures import save_picture

HERE = Path(__file__).parent
REPEATS, FITTED = 5, 3  # points at the upper end
DIMENSIONS = 50
WIDTHS = (0.25, 0.5, 1, 2)
LATENTS = (10, 100, 1000, 3000, 10_000)
BATCHES = (16, 32, 64, 128, 256, 512)
CODES = (2_000, 8_000, 32_000, 128_000)
SAMPLES = (125, 500, 2000, 8000)


def main() -> None:
    """Measures and writes both files."""
    head = f"# Growth\n\n{conditions()}\n"
    curves = {
        "width (multiplier of feature maps)": _curve(WIDTHS, lambda x: _step(width=x)),
        "latent size": _curve(LATENTS, lambda x: _step(latent_size=x)),
        "batch": _curve(BATCHES, lambda x: _step(batch_size=x)),
        "N, codes of the marginal KL (M = 500)": _curve(CODES, lambda x: _kl(x, 500)),
        "M, samples of the marginal KL (N = 8,000)": _curve(SAMPLES, lambda x: _kl(8000, x)),
    }
    figure, axes = panels(len(curves))
    lines = ["| against | sizes | seconds | exponent |", "| --- | --- | --- | --- |"]
    for axis, (name, (sizes, times)) in zip(axes, curves.items(), strict=True):
        exponent = float(np.polyfit(np.log(sizes[-FITTED:]), np.log(times[-FITTED:]), 1)[0])
        axis.loglog(sizes, times, "o-")
        axis.set(xlabel=name, ylabel="seconds", title=f"exponent {exponent:.2f}")
        axis.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axis.set_xticks([], minor=True)
        axis.yaxis.set_minor_formatter(NullFormatter())
        axis.grid(alpha=0.3, which="both")
        measured = ", ".join(f"{time:.3g}" for time in times)
        lines.append(f"| {name} | {', '.join(map(str, sizes))} | {measured} | {exponent:.2f} |")
    save_picture(HERE / "growth.png", figure)
    about = __doc__.split("\n\n")[1]
    text = head + about + "\n\n" + "\n".join(lines) + "\n\n![growth](growth.png)\n"
    (HERE / "growth.md").write_text(text, encoding="utf-8")
    print(text)


def _curve(
    sizes: Sequence[float], make: Callable[[float], Callable[[], object]]
) -> tuple[Sequence[float], list[float]]:
    times = []
    for size in sizes:
        call = make(size)
        call(), call()
        times.append(statistics.median(seconds(call) for _ in range(REPEATS)))
    return sizes, times


def _step(batch_size: int = BATCH_SIZE, **settings: float) -> Callable[[], object]:
    return zoo_step(compiled("vae", COLOR_MNIST, **settings), COLOR_MNIST, batch_size)


def _kl(codes: int, samples: int) -> Callable[[], object]:
    rng = np.random.default_rng(0)
    mean, z = (rng.standard_normal((n, DIMENSIONS)) for n in (codes, samples))
    stddev = np.full_like(mean, 0.5)
    return lambda: log_aggregate_posterior(z, mean, stddev)


if __name__ == "__main__":
    main()
