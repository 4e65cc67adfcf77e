"""Training through `zoo.train` against pythae's own trainer, on equal networks and data."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

import zoo
from benchmarks.peers.specification import COLOR_MNIST
from benchmarks.subjects import BATCH_SIZE
from benchmarks.timing import Comparison, interleaved
from zoo.config import DataConfig
from zoo.data import load_dataset
from zoo.pixels import as_floats

STEPS, REPEATS = 60, 3
PEERS = {"vae": "VAE", "aae": "Adversarial_AE"}


def run() -> list[Comparison]:
    """One row per model: seconds per step, the start left out on both sides."""
    from benchmarks.peers.pythae_training import seconds_per_step

    pixels = load_dataset(DataConfig()).split("train").images[: STEPS * BATCH_SIZE]
    images = as_floats(pixels)
    sizes = {
        "latent_size": COLOR_MNIST.latent_size,
        "batch_size": BATCH_SIZE,
        "steps": STEPS,
    }
    rows = []
    for model, peer in PEERS.items():
        pairs = interleaved(
            lambda model=model: seconds_of_a_step(model, **sizes),
            lambda model=model: seconds_per_step(model, COLOR_MNIST, images, BATCH_SIZE),
            REPEATS,
        )
        what = f"{model} through zoo-train"
        rows.append(Comparison(what, f"pythae {peer}", pairs, "at most 0.4"))
    return rows


def seconds_of_a_step(model: str, steps: int, **settings: Any) -> float:
    """Of a run of `steps`, the last two thirds: tracing falls into the first."""
    with tempfile.TemporaryDirectory() as folder:
        run = zoo.train(
            Path(folder) / "run",
            model=model,
            steps=steps,
            log_every=steps // 3,
            checkpoint_every=steps,
            **settings,
        )
        return statistics.mean(1 / line["steps_per_second"] for line in run.history()[1:])
