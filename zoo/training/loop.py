"""The training of a run, from its configuration to its last checkpoint."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import tensorflow as tf
from tqdm import tqdm

from zoo.config import RunConfig
from zoo.data import load_dataset
from zoo.data.pipeline import training_dataset
from zoo.models import build_model, model_class
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
        KeyboardInterrupt: after Ctrl-C, with a checkpoint of the step in progress.
    """
    training = config.training
    strategy = make_strategy(training.strategy)
    check_replicas(training, strategy.num_replicas_in_sync)
    cls = model_class(config.model.model)
    rates = cls.resolve_learning_rate(training.learning_rate)
    dataset = load_dataset(config.data)
    config = dataclasses.replace(
        config,
        model=cls.resolve(config.model, dataset.image_shape),
        training=dataclasses.replace(training, learning_rate=rates),
    )
    with folder_lock(Run.check_folder(run_dir)):
        run = Run.create_or_resume(run_dir, config, dataset.fingerprint, dataset.image_shape)
        with strategy.scope():
            model = build_model(
                config.model, dataset.image_shape, training.seed, training.dtype_policy
            )
            model.compile(rates, training.seed, training.jit_compile, training.steps_per_execution)
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
    )
    preemption = callbacks.Preemption(span, run)
    with (
        callbacks.summary_writer(run) as writer,
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
                callbacks.Pictures(
                    span,
                    training.checkpoint_every,
                    run,
                    writer,
                    dataset.split("validation").images,
                ),
                # After all else of its step: whoever goes on from it finds the rest complete.
                callbacks.Checkpoints(span, training.checkpoint_every, run),
                preemption,
            ],
        )
    return preemption.step
