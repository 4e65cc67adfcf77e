"""The training of a run, from its configuration to its last checkpoint."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from zoo.checkpoints import Best
from zoo.config import RunConfig, TrainingConfig, check_replicas
from zoo.data import load_dataset
from zoo.data.images import ImageDataset
from zoo.data.pipeline import training_dataset
from zoo.errors import UsageError, is_out_of_memory, reason
from zoo.files import folder_lock, user_path
from zoo.models import build_model, resolve
from zoo.models.inference import GenerativeModel
from zoo.models.schedules import SETTINGS
from zoo.networks import kept
from zoo.networks.own import OwnNetworks
from zoo.progress import progress_bar
from zoo.run import Run
from zoo.state import load_state
from zoo.training import callbacks
from zoo.training.strategy import make_strategy
from zoo.training.validation import Validation
from zoo.training.workers import Workers


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    """How a call of `train` ended.

    Attributes:
        run: the run folder.
        first_step: steps that were done before.
        last_step: steps done now; less than the configured steps only after a SIGTERM or SIGHUP, or
            where an observer stopped it.
        model: the model, trained.
        chief: whether this process wrote the run folder; among several workers one does.
        signal: SIGTERM or SIGHUP, which ended it here before the last step; else None.
    """

    run: Run
    first_step: int
    last_step: int
    model: Any
    chief: bool
    signal: int | None = None


def train(
    config: RunConfig,
    run_dir: str | Path,
    observers: Sequence[keras.callbacks.Callback] = (),
    images: ImageDataset | None = None,
    begin: GenerativeModel | None = None,
) -> TrainingResult:
    """Trains the run `config` in `run_dir`, going on from its newest checkpoint if it has one.

    The result depends on the configuration alone: a run that was killed and started again ends with
    the same weights as one that was not.

    Every worker of a run of several calls it alike; the chief alone reads and writes the folder.

    Args:
        config: what the run is.
        run_dir: its folder.
        observers: Keras callbacks. A start of a run is one epoch, whose batches are its steps:
            their methods for batches are called at every step, before its checkpoint, with the
            metrics averaged since the last line of `metrics.jsonl`; those for epochs at the end.
            `self.model.stop_training = True` ends the training with a checkpoint.
        images: what a program has at hand in the place of `config.data`; the run folder gets them.
        begin: a model as `config.model` says, from whose weights a new run goes on, and whose own
            networks it has. A copy of it is trained.

    Raises:
        UsageError: the configuration, the data or the folder is unusable, or a loss was not finite.
        WorkerLost: another worker of the run is gone.
        KeyboardInterrupt: after Ctrl-C, with a checkpoint of the step in progress.
    """
    for observer in observers:
        if not isinstance(observer, keras.callbacks.Callback):
            raise UsageError(f"callbacks hold {observer!r}: expected keras.callbacks.Callback")
    training = config.training
    strategy = make_strategy(training.strategy, training.cpu_devices)
    check_replicas(training, strategy.num_replicas_in_sync)
    workers = Workers(strategy)
    with workers.watched(), contextlib.ExitStack() as stack:
        with workers.all_or_none():
            if workers.chief:
                Run.check_folder(run_dir)  # before images are decoded
            if images is None:
                dataset = load_dataset(config.data)
            else:
                dataset, config = images, Run.with_own_data(config, run_dir)
            described = begin.own.get_config() if begin is not None else {}
            with strategy.scope():
                place = user_path(run_dir, "run_dir")
                networks = kept.read(place) if begin is None else kept.make(described, "networks")
            config = resolve(config, dataset, networks)
            _check_shape(begin, dataset)
        training = config.training
        described = described or OwnNetworks.describe(networks)
        same = {"data": dataset.fingerprint, "networks": kept.comparable(described)}
        workers.agree({**config.flat(), "data_dir": None, **same})
        about = dataset.fingerprint, dataset.image_shape
        run = Run(run_dir, config, *about, dataset.class_names)
        with workers.all_or_none():
            if workers.chief:
                stack.enter_context(folder_lock(Run.check_folder(run.path)))
                is_same, begun = dataset.is_of, bool(run.checkpoints.steps())
                Run.create_or_resume(run.path, config, *about, is_same, dataset.class_names)
                kept.keep(run.path, described, begun)
                if images is not None:
                    run.keep_data(images)
        with strategy.scope():
            how = training.seed, training.dtype_policy, networks
            model = build_model(config.model, dataset.image_shape, *how)
            model.compile(
                learning_rate=training.learning_rate,
                seed=training.seed,
                jit_compile=training.jit_compile,
                steps_per_execution=training.steps_per_execution,
                schedule={name: getattr(training, name) for name in SETTINGS},
                clip_norm=training.clip_norm,
                ema_decay=training.ema_decay,
            )
        best = None
        with workers.all_or_none(), strategy.scope():
            if workers.chief:
                if not run.checkpoints.steps():
                    _begin(run, model, begin, bool(networks))
                first_step = run.checkpoints.restore(model)
                run.checkpoints.drop_after(first_step)
                run.forget_metrics_after(first_step)
                best = run.checkpoints.best() if training.keep_best else None
        workers.broadcast(list(model.state.values()))
        first_step = last_step = int(model.step.numpy())
        signal = None
        if first_step < training.steps:
            with _memory(training):
                last_step, signal = _fit(
                    run, model, dataset, strategy, workers, first_step, observers, best
                )
            if workers.chief:
                _read_back(run, model)
        signal = signal if last_step < training.steps else None
        return TrainingResult(run, first_step, last_step, model, workers.chief, signal)


def _check_shape(begin: GenerativeModel | None, dataset: ImageDataset) -> None:
    if begin is not None and begin.image_shape != dataset.image_shape:
        raise UsageError(
            f"the model is for images {begin.image_shape}, {dataset.name} has "
            f"{dataset.image_shape}: expected images of that shape"
        )


def _begin(run: Run, model: Any, begin: GenerativeModel | None, own: bool) -> None:
    """Gives a new run its weights where its seed alone does not tell them, and keeps them."""
    if begin is not None:
        load_state(model.network_state, {n: v.numpy() for n, v in begin.network_state.items()})
        run.checkpoints.save(model)
    elif own:
        raise UsageError(
            f"{run.path} has networks of one's own, and no checkpoint of their weights yet: "
            "expected zoo.train with these networks"
        )


@contextlib.contextmanager
def _memory(training: TrainingConfig) -> Iterator[None]:
    """Tells what a step that memory does not suffice for can be made smaller by."""
    try:
        yield
    except Exception as error:
        if isinstance(error, UsageError) or not is_out_of_memory(error):
            raise
        raise UsageError(
            f"memory does not suffice for batch_size={training.batch_size}: expected a smaller "
            f"batch_size, image_size or width, or more devices to share it ({reason(error)})"
        ) from error


def _read_back(run: Run, model: Any) -> None:
    """Loads the run as everyone else will, and sees to it that these are the trained weights."""
    with model.averaged():
        trained = model.fingerprint
    if run.model.fingerprint != trained:
        raise RuntimeError(
            f"{run.path} does not give back the weights that were trained to step "
            f"{int(model.step.numpy())}: they are lost, or altered on the disk"
        )


def _fit(
    run: Run,
    model: Any,
    dataset: ImageDataset,
    strategy: tf.distribute.Strategy,
    workers: Workers,
    first: int,
    observers: Sequence[keras.callbacks.Callback],
    best: Best | None,
) -> tuple[int, int | None]:
    """Trains from step `first`; the step it ended with, and the signal that asked for the end."""
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
    preemption = callbacks.Preemption(span, run, workers)
    with (
        callbacks.summary_writer(run) if workers.chief else _no_writer() as writer,
        progress_bar(
            workers.chief,
            total=span.last,
            initial=span.first,
            desc="train",
            unit=" steps",
            mininterval=1,
        ) as bar,
        preemption.listening(),
    ):
        metrics = callbacks.Metrics(span, training.log_every, run, workers, writer, bar)
        every = training.checkpoint_every
        called = [metrics]
        if workers.chief:
            outcome = callbacks.ErrorRates if model.needs_labels else callbacks.Pictures
            called.append(outcome(span, every, run, writer, dataset))
            if training.validate_every:
                called.append(Validation(span, run, writer, dataset, best))
        # After all else of its step: whoever goes on from it finds the rest complete.
        called += [*observers, callbacks.Checkpoints(span, every, run, workers)]
        model.fit(
            batches,
            steps_per_epoch=span.last - span.first,
            shuffle=False,  # the pipeline has its own order
            verbose=0,
            callbacks=[*called, preemption],
        )
    return preemption.step, preemption.asked


def _no_writer() -> contextlib.AbstractContextManager[tf.summary.SummaryWriter]:
    return contextlib.nullcontext(tf.summary.create_noop_writer())
