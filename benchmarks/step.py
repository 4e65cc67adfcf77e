"""What `fit` adds to a training step, and what one shared forward pass saves."""

from __future__ import annotations

import tempfile
import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from benchmarks.timing import Comparison, interleaved, seconds
from zoo.config import RunConfig
from zoo.data import load_dataset
from zoo.data.pipeline import training_dataset
from zoo.models import build_model
from zoo.noise import step_noise
from zoo.run import Run
from zoo.training import callbacks
from zoo.training.strategy import make_strategy
from zoo.training.workers import Workers

FIT_STEPS, FIT_REPEATS = 20, 5
STEPS, REPEATS = 3, 5  # of VGH++
TOLERANCE = 1e-4  # of the largest entry of a gradient


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
    """Two rows."""
    return [_fit_against_step(), _shared_against_naive()]


def _fit_against_step() -> Comparison:
    """The pipeline and the callbacks of every step, and one line of metrics per `FIT_STEPS` steps.

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
    return Comparison("VAE step in fit", "bare compiled VAE step", pairs, "at most 1.05")


def _shared_against_naive() -> Comparison:
    """The zoo's VGH++ step against a tape and a forward pass per player: the same updates.

    The naive step keeps no metrics and checks nothing, which is in its favour; each of its passes
    is all of `losses`, less what neither its loss nor batch norm's statistics need.

    Raises:
        AssertionError: the two steps give other gradients.
    """
    model, _, constant = _compiled(RunConfig.create(model="vgh_plus_plus"))
    twin, _, _ = _compiled(RunConfig.create(model="vgh_plus_plus"))
    shared = tf.function(model.train_step)

    @tf.function
    def naive(images):
        twin.step.assign_add(1)
        gradients = {}
        for player in twin.players:
            noise = step_noise(twin.seed, twin.step.value, images.shape[0])
            with tf.GradientTape() as tape:
                loss = twin.losses(images, noise, training=True)[0][player]
            gradients[player] = tape.gradient(
                loss, [v.value for v in twin.player_variables(player)]
            )
        for player in twin.players:
            twin.optimizers[player].apply(gradients[player], twin.player_variables(player))

    shared(constant), naive(constant)
    for player in model.players:
        # After one step, Adam's moments are the gradients and their squares.
        pairs = zip(
            model.optimizers[player].variables, twin.optimizers[player].variables, strict=True
        )
        for ours, theirs in pairs:
            scale = np.abs(ours.numpy()).max()
            np.testing.assert_allclose(theirs, ours, rtol=0, atol=TOLERANCE * scale)

    pairs = interleaved(
        lambda: seconds(lambda: shared(constant), STEPS),
        lambda: seconds(lambda: naive(constant), STEPS),
        REPEATS,
    )
    return Comparison("VGH++ step", "one forward pass per player", pairs, "at most 0.65")


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
