"""The independent Wasserstein critic (Rosca et al. 2018, section 6 [P]; paper.md section 9).

A fresh WGAN-GP critic f is trained between the *validation* images, which no model has seen, and
samples:

    max E_validation f - E_model f - 10 E (||grad f|| - 1)^2

The gap E_validation f - E_model f estimates the Wasserstein distance; less is better. The same code
between validation and test images gives its floor. The critic has seen the validation images, so
its gap on train and on test images, which it has not seen, tells whether the model is closer to
what it was trained on (Danihelka et al. 2017 [R]).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from zoo import networks
from zoo.config import EvaluationConfig
from zoo.errors import UsageError
from zoo.evaluation.records import Metric, Picture, Record, mean_record
from zoo.evaluation.subjects import Subject
from zoo.figures import panels
from zoo.losses import gradient_penalty
from zoo.networks.critics import ImageCritic
from zoo.noise import row_noise, row_seeds

DEFAULT_STEPS = 5_000  # chosen, for a CPU; where there is an accelerator 50,000 [C]
EVALUATED = 10_000  # images and samples at most for the gaps of a trained critic, chosen
BATCH_SIZE = 64  # chosen
LAST = 1000  # minibatches that the value is a mean of, chosen; of a short training its second half

_PENALTY = 10.0  # [P]
_LEARNING_RATE = 1e-4  # [F:S9]
_CHUNK = 16 * BATCH_SIZE  # images made or read at a time


class Critic:
    """A critic of the data set's architecture family, without batch norm, and its training.

    Args:
        image_shape: `(H, W, C)`.
        seed: of its initial weights, its batches and the points of its penalty.
        width: multiplier of feature maps; 1 as everywhere in the paper.
    """

    def __init__(self, image_shape: tuple[int, int, int], seed: int, width: float = 1.0):
        self.seed = seed
        keras.utils.set_random_seed(seed)
        family = networks.family(image_shape)
        self.network = ImageCritic(family, image_shape, width, batch_norm=False)
        self.optimizer = keras.optimizers.Adam(_LEARNING_RATE, 0.5, 0.9, epsilon=1e-8)
        self.optimizer.build(self.network.trainable_variables)
        self._step = tf.function(self._update)

    def _update(self, real: tf.Tensor, fake: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        position = row_noise(seeds).uniform("interpolation", (1, 1, 1))
        with tf.GradientTape() as tape:
            gap = tf.reduce_mean(self.network(real)) - tf.reduce_mean(self.network(fake))
            penalty = gradient_penalty(self.network, real, fake, position)
            loss = _PENALTY * tf.reduce_mean(penalty) - gap
        variables = self.network.trainable_variables
        gradients = tape.gradient(loss, [v.value for v in variables])
        self.optimizer.apply(gradients, variables)
        return gap

    def train(
        self, real: Iterator[np.ndarray], fake: Iterator[np.ndarray], steps: int, name: str
    ) -> np.ndarray:
        """Trains on `steps` pairs of batches `[64, H, W, C]` in [0, 1]; `name` is the bar's.

        Returns:
            The gap of each minibatch before its update `[steps]`.

        Raises:
            UsageError: the gap is not finite.
        """
        gaps = []
        for step in tqdm(range(steps), name, unit=" steps", delay=2):
            seeds = row_seeds(self.seed, step * BATCH_SIZE, BATCH_SIZE)
            gaps.append(self._step(*map(tf.constant, (next(real), next(fake), seeds))))
        gaps = tf.stack(gaps).numpy().astype(np.float64)
        if not np.isfinite(gaps).all():
            step = int(np.argmin(np.isfinite(gaps)))
            raise UsageError(f"wasserstein_critic: its gap is not finite at step {step}")
        return gaps

    def score(self, images: np.ndarray) -> np.ndarray:
        """f(x) of images `[N, H, W, C]`, uint8 or in [0, 1]: float64 `[N]`."""
        parts = (images[i : i + _CHUNK] for i in range(0, len(images), _CHUNK))
        scores = [self.network(as_floats(part)).numpy() for part in parts]
        return np.concatenate(scores).astype(np.float64)


class WassersteinCritic(Metric):
    """The gap of an independent critic, its floor, and the signal of overfitting."""

    name = "wasserstein_critic"
    needs = ("sample",)
    uses = ("num_samples", "seed", "train_steps")

    def check(self, subject: Subject, dataset: Any, settings: EvaluationConfig) -> None:
        """See the base; it needs all three splits and networks for the images."""
        super().check(subject, dataset, settings)
        for split in ("train", "validation", "test"):
            dataset.split(split)
        networks.family(dataset.image_shape)

    def measure(
        self, subject: Subject, dataset: Any, settings: EvaluationConfig
    ) -> Iterator[Record | Picture]:
        """Yields the floor first, then the gap on minibatches and on each split."""
        steps = settings.train_steps or DEFAULT_STEPS
        seed = settings.seed
        details = {"steps": steps, "batch_size": BATCH_SIZE}

        floor = _floor(dataset, seed, steps)
        yield _minibatches("wasserstein_critic_data", floor, "E_test f, the floor", details)

        critic = Critic(dataset.image_shape, seed)
        gaps = critic.train(
            batches_of(dataset.split("validation").images, seed),
            samples_of(subject, steps, seed),
            steps,
            "critic of validation and samples",
        )
        yield _minibatches("wasserstein_critic", gaps, "E_model f, less is better", details)

        count = settings.count(EVALUATED)
        fresh = subject.all("sample", seed=seed, first_row=steps * BATCH_SIZE, count=count)
        of_model = critic.score(fresh["images"])
        of_data = {}
        for split in ("test", "train", "validation"):
            images = dataset.split(split).images[:count]
            of_data[split] = critic.score(images)
            seen = "has seen" if split == "validation" else "has not seen"
            yield _difference(
                f"wasserstein_critic_{split}",
                of_data[split],
                of_model,
                split,
                f"E_{split} f - E_model f of the trained critic, which {seen} these images",
                details,
            )
        yield _difference(
            "wasserstein_critic_overfitting",
            of_data["test"],
            of_data["train"],
            "test",
            "E_test f - E_train f, the gap of test images less that of training images: above 0 "
            "where the model is closer to what it was trained on",
            details,
        )
        caption = (
            "E_validation f - E_fake f of each minibatch, smoothed, of a critic between validation "
            "images and samples, and of one between validation and test images, the floor."
        )
        yield Picture("training", caption, _curves({"samples": gaps, "test images": floor}))


# By data, seed and steps: no model has a part in it, so that a sweep measures it once.
_floors: dict[tuple[str, int, int], np.ndarray] = {}


def _floor(dataset: Any, seed: int, steps: int) -> np.ndarray:
    """The gaps of a critic between validation and test images."""
    key = dataset.fingerprint, seed, steps
    if key not in _floors:
        validation, test = (dataset.split(s).images for s in ("validation", "test"))
        _floors[key] = Critic(dataset.image_shape, seed).train(
            batches_of(validation, seed),
            batches_of(test, seed + 1),
            steps,
            "critic of validation and test",
        )
    return _floors[key]


def as_floats(images: np.ndarray) -> np.ndarray:
    """float32 in [0, 1]."""
    if images.dtype == np.uint8:
        return images.astype(np.float32) / np.float32(255)
    return images


def batches_of(images: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    """Batches of uint8 images, drawn by chance with replacement, as floats, without end."""
    generator = np.random.default_rng(seed)
    while True:
        yield as_floats(images[generator.integers(len(images), size=BATCH_SIZE)])


def samples_of(subject: Subject, steps: int, seed: int) -> Iterator[np.ndarray]:
    """`steps` batches of fresh samples."""
    chunks = subject.batches("sample", _CHUNK, seed, count=steps * BATCH_SIZE)
    for chunk in chunks:
        images = chunk["images"]
        yield from (images[i : i + BATCH_SIZE] for i in range(0, len(images), BATCH_SIZE))


def _minibatches(name: str, gaps: np.ndarray, fake: str, details: dict[str, Any]) -> Record:
    """The mean of the last minibatches."""
    last = gaps[-min(LAST, (len(gaps) + 1) // 2) :]
    definition = (
        f"E_validation f - {fake}, of a critic that learns to tell them apart; mean of its last "
        f"{len(last)} minibatches, their gaps taken as independent"
    )
    error = float(last.std(ddof=1) / len(last) ** 0.5) if len(last) > 1 else None
    n = len(last) * BATCH_SIZE
    return Record(name, float(last.mean()), error, n, "validation", definition, details)


def _difference(
    name: str,
    first: np.ndarray,
    second: np.ndarray,
    split: str,
    definition: str,
    details: dict[str, Any],
) -> Record:
    one, other = (mean_record(name, values, split, definition) for values in (first, second))
    errors = [r.standard_error for r in (one, other) if r.standard_error is not None]
    error = float(np.hypot(*errors)) if len(errors) == 2 else None
    return Record(name, one.value - other.value, error, len(first), split, definition, details)


def _curves(runs: dict[str, np.ndarray]) -> Any:
    figure, (axis,) = panels(1, 1, (5.5, 2.8))
    for name, gaps in runs.items():
        window = max(1, len(gaps) // 100)
        smooth = np.convolve(gaps, np.full(window, 1 / window), "valid")
        axis.plot(np.arange(window, len(gaps) + 1), smooth, linewidth=1.2, label=name)
    axis.axhline(0, color="0.7", linewidth=0.8)
    axis.set_xlabel("step", fontsize=9)
    axis.set_ylabel("gap", fontsize=9)
    axis.legend(fontsize=8)
    return figure
