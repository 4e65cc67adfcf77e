"""Batches the input pipeline makes against those the compiled VAE step uses up."""

from __future__ import annotations

import tensorflow as tf

from benchmarks.timing import Comparison, interleaved, seconds
from zoo.config import DataConfig, ModelConfig
from zoo.data import load_dataset
from zoo.data.pipeline import training_dataset
from zoo.models import build_model
from zoo.training.strategy import make_strategy

BATCH_SIZE = 64
BATCHES, STEPS, REPEATS = 300, 10, 5  # per repeat, long enough that the clock's grain is nothing
BUFFERED = 32  # more than the pipeline holds ready; a measurement must not count those


def run() -> list[Comparison]:
    """One row: seconds per step over seconds per batch, each with the machine to itself."""
    dataset = load_dataset(DataConfig())
    model = build_model(ModelConfig(), dataset.image_shape)
    model.compile()
    step = tf.function(model.train_step)
    batches = iter(
        training_dataset(
            dataset.split("train").images,
            strategy=make_strategy("one_device"),
            batch_size=BATCH_SIZE,
            seed=0,
            first_step=0,
            steps=(REPEATS + 1) * (BATCHES + BUFFERED) + BUFFERED,
        )
    )
    constant = next(batches)

    def pipeline() -> float:
        for _ in range(BUFFERED):
            next(batches)
        return seconds(lambda: next(batches), BATCHES)

    def consumption() -> float:
        return seconds(lambda: step(constant), STEPS)

    return [
        Comparison(
            f"training_dataset, one batch of {BATCH_SIZE}",
            "compiled VAE step on a constant batch",
            interleaved(pipeline, consumption, REPEATS),
            "at least 10 (speed)",
            speedup=True,
        )
    ]
