"""Peak memory over an idle TensorFlow: of a training step, and of the marginal KL."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.peers.specification import SPECIFICATIONS
from benchmarks.subjects import BATCH_SIZE
from benchmarks.timing import Comparison

ROOT = Path(__file__).parents[1]
REPEATS, STEPS = 3, 20
CODES, SIZE, SAMPLES = 200_000, 128, 10_000
BOUND = 2 * 1024**3  # bytes
MEGABYTE = 1e6
_IDLE = """
import sys
import numpy as np
import tensorflow as tf
from benchmarks.subjects import compiled, zoo_step
tf.function(lambda: tf.random.normal([64, 64]) @ tf.random.normal([64, 64]))()
"""
_STEPS = """
from benchmarks.peers.specification import SPECIFICATIONS
spec = SPECIFICATIONS[sys.argv[1]]
step = zoo_step(compiled("vae", spec), spec)
for _ in range(int(sys.argv[2])):
    step()
"""
_MARGINAL_KL = """
from zoo.evaluation.latent.aggregate_posterior import log_aggregate_posterior
codes, size, samples = map(int, sys.argv[1:])
rng = np.random.default_rng(0)
mean, z = (rng.standard_normal((n, size), np.float32) for n in (codes, samples))
log_aggregate_posterior(z, mean, np.full_like(mean, 0.5))
"""
_PEAK = """
from benchmarks.memory import peak_bytes
print(peak_bytes())
"""


def run() -> list[Comparison]:
    """One row per family, and one of the marginal KL."""
    idle = min(_peak("") for _ in range(REPEATS))

    def row(what: str, against: str, measure: Callable[[], float], size: float, target: str):
        pairs = tuple(((measure() - idle) / MEGABYTE, size / MEGABYTE) for _ in range(REPEATS))
        what = f"{what}: peak over an idle TensorFlow's {idle / MEGABYTE:.0f} MB"
        return Comparison(what, against, pairs, target, unit="MB")

    rows = [
        row(
            f"VAE steps, {family}, batch {BATCH_SIZE}",
            "weights, gradients, moments and activations, by calculation",
            lambda family=family: _peak(_STEPS, family, STEPS),
            spec.vae_bytes(BATCH_SIZE),
            "-",
        )
        for family, spec in SPECIFICATIONS.items()
    ]
    what = f"log_aggregate_posterior, N={CODES:,} D={SIZE} M={SAMPLES:,}"
    measure = lambda: _peak(_MARGINAL_KL, CODES, SIZE, SAMPLES)  # noqa: E731
    return [*rows, row(what, "2 GiB", measure, BOUND, "at most 1")]


def peak_bytes(process: int | str = "self") -> int:
    """Of this process or another, so far, and of it alone: the maximum that getrusage tells is
    inherited from the one that started it. 0 of one that has ended. Linux has this, no other
    system."""
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    peaks = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
    return 1024 * int(peaks[0]) if peaks else 0


def _peak(code: str, *arguments: object) -> float:
    """Bytes at the peak of a process of its own."""
    command = [sys.executable, "-c", _IDLE + code + _PEAK, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return float(done.stdout)
