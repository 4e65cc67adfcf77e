"""What happens beside the updates: progress, metrics, checkpoints, pictures, and stopping."""

from __future__ import annotations

import contextlib
import math
import signal
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from zoo.data.images import ImageDataset
from zoo.errors import UsageError, reason
from zoo.handlers import handled
from zoo.noise import row_noise, row_seeds
from zoo.pictures import grid, save_png, side_by_side
from zoo.pixels import as_floats
from zoo.run import Run
from zoo.training.workers import Workers

PICTURE_IMAGES = 64  # chosen


class Span(NamedTuple):
    """The steps of one start of a run: those after `first`, up to and with `last`."""

    first: int
    last: int


class StepCallback(keras.callbacks.Callback):
    """A callback that knows the number of the step, whatever the steps per execution."""

    def __init__(self, span: Span):
        super().__init__()
        self.span = span
        self.step = self.previous = span.first

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Counts, then calls `on_step`."""
        self.previous = self.step
        self.step = min(self.span.first + batch + 1, self.span.last)
        self.on_step(logs or {})

    def due(self, every: int) -> bool:
        """Whether a multiple of `every`, or the last step, lies in the steps just done."""
        return self.step // every > self.previous // every or self.step == self.span.last

    def on_step(self, logs: dict[str, Any]) -> None:
        """What to do after the step `self.step`."""


def check_finite(model: Any, run: Run) -> None:
    """Raises `UsageError` with step, player and term where a loss or gradient was not finite."""
    faults = model.faults.numpy()
    if faults.any():
        first = faults[faults > 0].min()
        names = [name for name, step in zip(model.checks, faults, strict=True) if step == first]
        raise stopped(first, names, run)


def stopped(step: int, names: list[str], run: Run) -> UsageError:
    """What ends a run in which these values were not finite."""
    sound = run.checkpoints.newest()
    kept = f"the checkpoint of step {sound} is sound" if sound else "there is no checkpoint yet"
    return UsageError(
        f"training stopped at step {step}: not finite: {', '.join(names)}; {kept}; try a smaller "
        "--learning_rate"
    )


@contextlib.contextmanager
def summary_writer(run: Run) -> Iterator[tf.summary.SummaryWriter]:
    """The writer of `tensorboard/`, closed at the end.

    Raises:
        UsageError: the folder cannot be written.
    """
    with _reported(run):
        writer = tf.summary.create_file_writer(str(run.path / "tensorboard"))
    try:
        yield writer
    finally:
        # All was flushed before; what a full disk refused then would now hide that it did.
        with contextlib.suppress(tf.errors.OpError):
            writer.close()


@contextlib.contextmanager
def summaries(writer: tf.summary.SummaryWriter, run: Run, step: int) -> Iterator[None]:
    """Takes the `tf.summary` calls of a step to the disk, or raises `UsageError`."""
    with _reported(run), writer.as_default(step):
        yield
        writer.flush()


@contextlib.contextmanager
def _reported(run: Run) -> Iterator[None]:
    try:
        yield
    except tf.errors.OpError as error:
        raise UsageError(f"cannot write {run.path / 'tensorboard'}: {reason(error)}") from error


class Metrics(StepCallback):
    """Writes the metrics, averaged since the last line, and moves the progress bar."""

    def __init__(
        self,
        span: Span,
        every: int,
        run: Run,
        workers: Workers,
        writer: tf.summary.SummaryWriter,
        bar: tqdm,
    ):
        super().__init__(span)
        self._every, self._run, self._workers = every, run, workers
        self._writer, self._bar = writer, bar
        self._since, self._time = span.first, time.monotonic()

    def on_step(self, logs: dict[str, Any]) -> None:
        """Advances the bar; at a log step, writes and starts new averages."""
        self._bar.update(self.step - self.previous)
        if not self.due(self._every):
            return
        check_finite(self.model, self._run)
        values = self.model.results()  # reduced over the workers, hence by all of them
        self.model.reset_metrics()
        if bad := [name for name, value in values.items() if not math.isfinite(value)]:
            raise stopped(self.step, [f"mean {name}" for name in bad], self._run)
        if not self._workers.chief:
            return
        now = time.monotonic()
        rate = (self.step - self._since) / (now - self._time)
        self._since, self._time = self.step, now
        self._run.log({"step": self.step, **values, "steps_per_second": round(rate, 3)})
        with summaries(self._writer, self._run, self.step):
            for name, value in values.items():
                tf.summary.scalar(name, value)
        shown = {name: f"{values[name]:.4g}" for name in self.model.terms}
        self._bar.set_postfix(shown, refresh=False)


class Checkpoints(StepCallback):
    """Writes a checkpoint of every sound state that is due."""

    def __init__(self, span: Span, every: int, run: Run, workers: Workers):
        super().__init__(span)
        self._every, self._run, self._workers = every, run, workers

    def on_step(self, logs: dict[str, Any]) -> None:
        """Writes it."""
        if self.due(self._every):
            checkpoint(self.model, self._run, self._workers)


def checkpoint(model: Any, run: Run, workers: Workers) -> None:
    """The chief writes a checkpoint; all workers stop where there is a fault."""
    check_finite(model, run)
    if workers.chief:
        run.checkpoints.save(model)


class Pictures(StepCallback):
    """Samples and reconstructions from a noise that stays the same through time."""

    def __init__(
        self,
        span: Span,
        every: int,
        run: Run,
        writer: tf.summary.SummaryWriter,
        dataset: ImageDataset,
    ):
        super().__init__(span)
        self._every, self._run, self._writer = every, run, writer
        images = dataset.split("validation").some(PICTURE_IMAGES // 2).images
        self._images = as_floats(images)
        self._noise = row_noise(row_seeds(run.config.training.seed, 0, PICTURE_IMAGES))

    def on_step(self, logs: dict[str, Any]) -> None:
        """Writes `images/samples-STEP.png`, and reconstructions where there is an encoder."""
        if not self.due(self._every):
            return
        check_finite(self.model, self._run)
        with self.model.averaged():
            pictures = self._drawn()
        with summaries(self._writer, self._run, self.step):
            for name, pixels in pictures.items():
                save_png(self._run.path / "images" / f"{name}-{self.step:08d}.png", pixels)
                tf.summary.image(name, pixels[None])

    def _drawn(self) -> dict[str, np.ndarray]:
        pictures = {}
        if "sample" in self.model.available_signatures:
            pictures["samples"] = grid(self.model.sample(seed=self._noise)["images"].numpy())
        if "encode" in self.model.available_signatures:
            codes = self.model.encode(self._images)["z"]
            decoded = self.model.generate(codes).numpy()  # black where a run diverges
            pictures["reconstructions"] = side_by_side(self._images, decoded)
        return pictures


class ErrorRates(StepCallback):
    """The share of held-out images that a classifier gets wrong, in a line of metrics."""

    def __init__(
        self,
        span: Span,
        every: int,
        run: Run,
        writer: tf.summary.SummaryWriter,
        dataset: ImageDataset,
    ):
        super().__init__(span)
        self._every, self._run, self._writer = every, run, writer
        self._held_out = {name: (s, dataset.labels(name)) for name, s in dataset.splits.items()}
        del self._held_out["train"]

    def on_step(self, logs: dict[str, Any]) -> None:
        """Writes `validation_error` and `test_error`."""
        if not self.due(self._every):
            return
        with self.model.averaged():
            errors = {
                f"{name}_error": self.model.error_rate(split.images, labels)
                for name, (split, labels) in self._held_out.items()
            }
        self._run.log({"step": self.step, **errors})
        with summaries(self._writer, self._run, self.step):
            for name, value in errors.items():
                tf.summary.scalar(name, value)


class Preemption(StepCallback):
    """After SIGTERM, SIGHUP or Ctrl-C to any worker: ends training on all of them after the step in
    progress, with a checkpoint of it. The last of the callbacks.

    A second Ctrl-C does not wait for the step.
    """

    def __init__(self, span: Span, run: Run, workers: Workers):
        super().__init__(span)
        self._run, self._workers = run, workers
        self.asked: int | None = None

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Takes the signals over while the block runs.

        Raises:
            KeyboardInterrupt: at the end, where Ctrl-C has ended the training.
        """

        def ask(number: int, _: Any) -> None:
            if number == self.asked == signal.SIGINT:
                raise KeyboardInterrupt
            self.asked = number

        with handled(ask):
            yield
        if self.asked == signal.SIGINT:
            raise KeyboardInterrupt(f"stopped at step {self.step} of {self.span.last}")

    def on_step(self, logs: dict[str, Any]) -> None:
        """Stops where it, or an observer by `stop_training`, was asked to."""
        asked = self.asked is not None or self.model.stop_training
        if self._workers.total(asked):
            checkpoint(self.model, self._run, self._workers)
            self.model.stop_training = True
