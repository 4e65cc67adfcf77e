"""What `fit` adds to a training step."""

from __future__ import annotations

import tempfile
import time
from typing import Any

import keras
import tensorflow as tf
from tqdm import tqdm

from benchmarks.timing import Comparison, interleaved, seconds
from zoo.config import RunConfig
from zoo.data import load_dataset
from zoo.data.pipeline import training_dataset
from zoo.models import build_model
from zoo.run import Run
from zoo.training import callbacks
from zoo.training.strategy import make_strategy
from zoo.training.workers import Workers

FIT_STEPS, FIT_REPEATS = 20, 5


class Stopwatch(keras.callbacks.Callback):
    """Notes when each step was over; put it last, so that the other callbacks count."""

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Starts anew."""
        self.times = []

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Notes it."""
        self.times.append(time.perf_counter())

    def seconds_per_step(self) -> float:
        """Without the first two steps, which wait for the pipeline to start."""
        return (self.times[-1] - self.times[1]) / (len(self.times) - 2)


def run() -> list[Comparison]:
    """One row: the pipeline, the callbacks of every step, and one line of metrics.

    Checkpoints and pictures are left out: they come once in hundreds of steps.
    """
    config = RunConfig.create(model="vae", steps=FIT_STEPS)
    model, dataset, constant = _compiled(config)
    step = tf.function(model.train_step)
    span = callbacks.Span(0, FIT_STEPS)
    workers = Workers(make_strategy("one_device"))
    with tempfile.TemporaryDirectory() as folder, tqdm(disable=True) as bar:
        run = Run.create_or_resume(folder, config, dataset.fingerprint, dataset.image_shape)
        writer = tf.summary.create_file_writer(f"{folder}/tensorboard")

        def fit() -> float:
            stopwatch = Stopwatch()
            metrics = callbacks.Metrics(span, FIT_STEPS, run, workers, writer, bar)
            every = [metrics, callbacks.Preemption(span, run, workers), stopwatch]
            batches = _batches(config, dataset, FIT_STEPS)
            model.fit(batches, steps_per_epoch=FIT_STEPS, shuffle=False, verbose=0, callbacks=every)
            return stopwatch.seconds_per_step()

        pairs = interleaved(fit, lambda: seconds(lambda: step(constant), FIT_STEPS), FIT_REPEATS)
        writer.close()
    return [Comparison("VAE step in fit", "bare compiled VAE step", pairs, "at most 1.05")]


def _compiled(config: RunConfig) -> tuple[Any, Any, tf.Tensor]:
    """A compiled model, its data set and one batch."""
    dataset = load_dataset(config.data)
    with make_strategy("one_device").scope():
        model = build_model(config.model, dataset.image_shape)
        model.compile()
    return model, dataset, next(iter(_batches(config, dataset, 1)))


def _batches(config: RunConfig, dataset: Any, steps: int) -> Any:
    return training_dataset(
        dataset.split("train").images,
        strategy=make_strategy("one_device"),
        batch_size=config.training.batch_size,
        seed=0,
        first_step=0,
        steps=steps,
    )
