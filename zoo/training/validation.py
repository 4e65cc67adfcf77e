"""The losses and terms of a model on the validation split, while it trains."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from zoo.checkpoints import Best
from zoo.data.images import ImageDataset
from zoo.noise import row_noise, row_seeds
from zoo.pixels import as_floats
from zoo.run import VALIDATION, Run
from zoo.training.callbacks import Span, StepCallback, check_finite, summaries


class Validation(StepCallback):
    """Writes the validation values, and keeps the checkpoint of the best one.

    The chief alone computes them, in inference mode, with averaged weights where there are such.
    Each image has a noise of its own, which stays the same through time and on any number of
    devices. Nothing that trains is touched.
    """

    def __init__(
        self,
        span: Span,
        run: Run,
        writer: tf.summary.SummaryWriter,
        dataset: ImageDataset,
        best: Best | None,
    ):
        super().__init__(span)
        self._run, self._writer, self._training = run, writer, run.config.training
        split = dataset.split("validation")
        self._split = split.some(self._training.validation_images or len(split))
        self._means = tf.function(self._batch_means, reduce_retracing=True)
        self._best = best

    def on_step(self, logs: dict[str, Any]) -> None:
        """Writes `validation_TERM` and `validation_PLAYER_loss`."""
        if not self.due(self._training.validate_every):
            return
        check_finite(self.model, self._run)
        with self.model.averaged():
            values = self._values()
        finite = {name: value for name, value in values.items() if math.isfinite(value)}
        if len(finite) < len(values):
            odd = ", ".join(VALIDATION + name for name in values if name not in finite)
            logging.warning("step %d: left out, not finite: %s", self.step, odd)
        named = {VALIDATION + name: value for name, value in finite.items()}
        self._run.log({"step": self.step, **named})
        with summaries(self._writer, self._run, self.step):
            for name, value in named.items():
                tf.summary.scalar(name, value)
        term = self._training.keep_best
        if term in finite:
            best = Best(term, finite[term], len(self._split))
            if best.beats(self._best, term in self.model.higher_is_better):
                self._run.checkpoints.save_best(self.model, best)
                self._best = best

    def _values(self) -> dict[str, float]:
        """The means over the images."""
        labels = self._split.labels if self.model.needs_labels else None
        count = len(self._split)
        # As even as can be: a statistic of a batch, as some losses are, has none of a few rows.
        parts = -(-count // self._training.batch_size)
        sums: dict[str, float] = {}
        for rows in np.array_split(np.arange(count), parts):
            part = slice(rows[0], rows[-1] + 1)
            images = tf.constant(as_floats(self._split.images[part]))
            classes = None if labels is None else tf.constant(labels[part])
            seeds = tf.constant(row_seeds(self._training.seed, int(rows[0]), len(rows)))
            for name, mean in self._means(images, classes, seeds).items():
                sums[name] = sums.get(name, 0.0) + float(mean) * len(rows)
        return {name: total / count for name, total in sums.items()}

    def _batch_means(
        self, images: tf.Tensor, labels: tf.Tensor | None, seeds: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        batch = images if labels is None else (images, labels)
        losses, report = self.model.losses(batch, row_noise(seeds), training=False)
        means = {f"{player}_loss": loss for player, loss in losses.items()}
        return means | {term: tf.reduce_mean(values) for term, values in report.items()}
