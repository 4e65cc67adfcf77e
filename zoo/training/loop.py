"""The training of a run, from its configuration to its last checkpoint."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import Any

import tensorflow as tf
from tqdm import tqdm

from zoo.config import RunConfig
from zoo.data import load_dataset
from zoo.data.pipeline import training_dataset
from zoo.models import build_model, resolve
from zoo.run import Run, folder_lock
from zoo.training import callbacks
from zoo.training.strategy import check_replicas, make_strategy


@dataclasses.dataclass(frozen=True)
class Training:
    """How a call of `train` ended.

    Attributes:
        run: the run folder.
        first_step: steps that were done before.
        last_step: steps done now; less than the configured steps only after a SIGTERM.
    """

    run: Run
    first_step: int
    last_step: int


def train(config: RunConfig, run_dir: str | Path) -> Training:
    """Trains the run `config` in `run_dir`, going on from its newest checkpoint if it has one.

    The result depends on the configuration alone: a run that was killed and started again ends with
    the same weights as one that was not.

    Raises:
        UsageError: the configuration, the data or the folder will not do, or a loss was not finite.
    """
    training = config.training
    strategy = make_strategy(training.strategy)
    check_replicas(training, strategy.num_replicas_in_sync)
    dataset = load_dataset(config.data)
    config = resolve(config, dataset)
    training = config.training
    with folder_lock(Path(run_dir)):
        run = Run.create_or_resume(run_dir, config, dataset.fingerprint, dataset.image_shape)
        with strategy.scope():
            model = build_model(
                config.model, dataset.image_shape, training.seed, training.dtype_policy
            )
            model.compile(
                training.learning_rate,
                training.seed,
                training.jit_compile,
                training.steps_per_execution,
            )
            first_step = run.checkpoints.restore(model)
        run.checkpoints.drop_after(first_step)
        run.forget_metrics_after(first_step)
        if first_step >= training.steps:
            return Training(run, first_step, first_step)
        last_step = _fit(run, model, dataset, strategy, first_step)
        return Training(run, first_step, last_step)


def _fit(run: Run, model: Any, dataset: Any, strategy: tf.distribute.Strategy, first: int) -> int:
    """Trains from step `first` and returns the step it ended with."""
    training = run.config.training
    span = callbacks.Span(first, training.steps)
    batches = training_dataset(
        dataset.split("train").images,
        strategy=strategy,
        batch_size=training.batch_size,
        seed=training.seed,
        first_step=span.first,
        steps=span.last,
        passes=model.passes,
        labels=dataset.labels("train") if model.needs_labels else None,
    )
    outcome = callbacks.ErrorRates if model.needs_labels else callbacks.Pictures
    preemption = callbacks.Preemption(span, run)
    with (
        contextlib.closing(tf.summary.create_file_writer(str(run.path / "tensorboard"))) as writer,
        tqdm(
            total=span.last, initial=span.first, desc="train", unit=" steps", mininterval=1
        ) as bar,
        preemption.listening(),
    ):
        model.fit(
            batches,
            steps_per_epoch=span.last - span.first,
            shuffle=False,  # the pipeline has its own order
            verbose=0,
            callbacks=[
                callbacks.Metrics(span, training.log_every, run, writer, bar),
                callbacks.Checkpoints(span, training.checkpoint_every, run),
                outcome(span, training.checkpoint_every, run, writer, dataset),
                preemption,
            ],
        )
    return preemption.step
