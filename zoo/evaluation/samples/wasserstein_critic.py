"""The independent Wasserstein critic (Rosca et al. 2018, section 6 [P]; paper.md section 9).

A fresh WGAN-GP critic f is trained between the *validation* images, which no model has seen, and
samples:

    max E_validation f - E_model f - 10 E (||grad f|| - 1)^2

The gap E_validation f - E_model f estimates the Wasserstein distance; less is better. It is a mean
over critics with seeds and batches of their own: from one to the next it differs by more than the
minibatches of any one tell. The same code between validation and test images gives its floor. The
critics have seen the validation images, so their gap on train and on test images, which they have
not seen, tells whether the model is closer to what it was trained on (Danihelka et al. 2017 [R]).
A model draws samples that the critics have not seen; of given ones a fifth is kept from them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure
from tqdm import tqdm

from zoo import networks
from zoo.config import SPLITS, EvaluationConfig
from zoo.data.images import ImageDataset
from zoo.errors import UsageError
from zoo.evaluation.protocol import Metric, Picture, few, short
from zoo.evaluation.subject.subject import Subject
from zoo.figures import panels
from zoo.losses import after, gradient_penalty
from zoo.networks.critics import ImageCritic
from zoo.noise import row_noise, row_seeds
from zoo.pixels import as_floats
from zoo.records import Record

CRITICS = 3  # chosen: the fewest whose spread says anything
DEFAULT_STEPS = 2_000  # of each, chosen, for a CPU; where there is an accelerator 50,000 [C]
EVALUATED = 10_000  # images and samples at most for the gaps of a trained critic, chosen
BATCH_SIZE = 64  # chosen
LAST = 1000  # minibatches that the value is a mean of, chosen; of a short training its second half

_PENALTY = 10.0  # [P]
_LEARNING_RATE = 1e-4  # [F:S9]
_STRIDE = 1_000_003  # between the seeds of critics, chosen: evaluations of seeds 0, 1, 2 share none
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
        gradients = tape.gradient(loss, [v.value for v in variables], after([loss], 1.0))
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


@dataclasses.dataclass(frozen=True, eq=False)
class Trained:
    """Critics that were trained between the same two sides.

    Attributes:
        critics: K of them.
        gaps: `[K, steps]`, of each minibatch before its update.
    """

    critics: Sequence[Critic]
    gaps: np.ndarray

    @property
    def last(self) -> int:
        """The minibatches at the end that the value is a mean of."""
        return min(LAST, (self.gaps.shape[1] + 1) // 2)

    def score(self, images: np.ndarray) -> np.ndarray:
        """f(x) of images `[N, H, W, C]` by each critic, `[K, N]`."""
        return np.stack([critic.score(images) for critic in self.critics])

    def minibatches(self, first: np.ndarray, second: np.ndarray) -> tuple[float, float | None]:
        """The gap of the last minibatches, and its standard error given `score` of both sides."""
        values = self.gaps[:, -self.last :].mean(axis=1)
        return float(values.mean()), standard_error(values, first, second)


def difference(first: np.ndarray, second: np.ndarray) -> tuple[float, float | None]:
    """The mean over critics of E f - E f of the scores `[K, N]` and `[K, M]` of two sides, and its
    standard error."""
    values = first.mean(axis=1) - second.mean(axis=1)
    return float(values.mean()), standard_error(values, first, second)


def standard_error(values: np.ndarray, first: np.ndarray, second: np.ndarray) -> float | None:
    """Of the mean of the values `[K]` of critics: their own variance, and that of the images on
    both sides under the mean critic. None where there is one image on a side."""
    if min(first.shape[1], second.shape[1]) < 2:
        return None
    of_images = sum(side.mean(axis=0).var(ddof=1) / side.shape[1] for side in (first, second))
    return float(np.sqrt(values.var(ddof=1) / len(values) + of_images))


class WassersteinCritic(Metric):
    """Wasserstein gaps by critics of their own, with the floor and a sign of overfitting."""

    name = "wasserstein_critic"
    lower_is_better = ("wasserstein_critic",)
    needs = ("sample",)
    uses = ("num_samples", "seed", "train_steps")
    revision = 4

    def check(self, subject: Subject, dataset: ImageDataset, settings: EvaluationConfig) -> None:
        """As every metric's; it needs all three splits and networks for the images."""
        super().check(subject, dataset, settings)
        for split in SPLITS:
            dataset.split(split)
        networks.family(dataset.image_shape)

    def measure(
        self, subject: Subject, dataset: ImageDataset, settings: EvaluationConfig
    ) -> Iterator[Record | Picture]:
        """Yields the floor first, then the gap on minibatches and on each split."""
        steps = settings.train_steps or DEFAULT_STEPS
        seed, count = settings.seed, settings.count(EVALUATED)
        images = {s: dataset.split(s).some(count).images for s in ("test", "train", "validation")}
        validation, given = len(dataset.split("validation")), subject.available
        learnt, fresh = subject.apart(seed)
        floor = _floor(dataset, seed, steps)
        trained = _train(
            dataset,
            seed,
            steps,
            "samples",
            lambda own: samples_of(learnt, steps, own),
        )
        # Later rows than those of any training.
        drawn = fresh.all(
            "sample", seed=seed, first_row=steps * BATCH_SIZE, count=fresh.at_most(count)
        )
        of_model = trained.score(drawn["images"])
        of_data = {split: trained.score(some) for split, some in images.items()}

        def record(
            ending: str, value: float, error: float | None, n: int, split: str, definition: str
        ) -> Record:
            return Record(
                f"wasserstein_critic{ending}",
                value,
                error,
                n,
                split,
                f"{definition}; mean of {CRITICS} critics",
                {"steps": steps, "batch_size": BATCH_SIZE, "critics": CRITICS},
                warnings=short(steps, DEFAULT_STEPS)
                + few(validation, 1000, "critics soon know so few validation images by heart")
                + (few(given, 1000, "critics soon know so few samples by heart") if given else ()),
            )

        floor_scores = (floor.score(images[split]) for split in ("validation", "test"))
        for ending, side, other, (value, error) in (
            ("_data", floor, "E_test f, the floor", floor.minibatches(*floor_scores)),
            (
                "",
                trained,
                "E_model f, less is better",
                trained.minibatches(of_data["validation"], of_model),
            ),
        ):
            definition = (
                f"E_validation f - {other}, of a critic that learns to tell them apart; over its "
                f"last {side.last} minibatches"
            )
            yield record(ending, value, error, validation, "validation", definition)
        for split, scores in of_data.items():
            seen = "has seen" if split == "validation" else "has not seen"
            definition = f"E_{split} f - E_model f of the trained critic, which {seen} these images"
            value, error = difference(scores, of_model)
            yield record(f"_{split}", value, error, scores.shape[1], split, definition)
        value, error = difference(of_data["test"], of_data["train"])
        yield record(
            "_overfitting",
            value,
            error,
            of_data["test"].shape[1],
            "test",
            "E_test f - E_train f, the gap of test images less that of training images: above 0 "
            "where the model is closer to what it was trained on",
        )
        caption = (
            "E_validation f - E_fake f of each minibatch, smoothed, of critics between validation "
            "images and samples, and of critics between validation and test images, the floor."
        )
        curves = {"samples": trained.gaps, "test images": floor.gaps}
        yield Picture("training", caption, _curves(curves))


def _train(
    dataset: ImageDataset,
    seed: int,
    steps: int,
    other: str,
    fake: Callable[[int], Iterator[np.ndarray]],
) -> Trained:
    """Critics between the validation images and what `fake` makes of the seed of each."""
    validation = dataset.split("validation").images
    critics, gaps = [], []
    for k in range(CRITICS):
        own = (seed + _STRIDE * k) % 2**31
        critics.append(Critic(dataset.image_shape, own))
        name = f"critic {k + 1} of {CRITICS}: validation and {other}"
        gaps.append(critics[-1].train(batches_of(validation, own), fake(own), steps, name))
    return Trained(critics, np.stack(gaps))


# By data, seed and steps: no model has a part in it, so that a sweep measures it once.
_floors: dict[tuple[str, int, int], Trained] = {}


def _floor(dataset: ImageDataset, seed: int, steps: int) -> Trained:
    """Critics between validation and test images."""
    key = dataset.fingerprint, seed, steps
    if key not in _floors:
        test = dataset.split("test").images
        _floors[key] = _train(
            dataset, seed, steps, "test images", lambda own: batches_of(test, own + 1)
        )
    return _floors[key]


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


def _curves(runs: dict[str, np.ndarray]) -> Figure:
    figure, (axis,) = panels(1, 1, (5.5, 2.8))
    for i, (name, sides) in enumerate(runs.items()):
        for k, gaps in enumerate(sides):
            window = max(1, len(gaps) // 100)
            smooth = np.convolve(gaps, np.full(window, 1 / window), "valid")
            steps, label = np.arange(window, len(gaps) + 1), None if k else name
            axis.plot(steps, smooth, linewidth=1.0, color=f"C{i}", label=label)
    axis.axhline(0, color="0.7", linewidth=0.8)
    axis.set_xlabel("step", fontsize=9)
    axis.set_ylabel("gap", fontsize=9)
    axis.legend(fontsize=8)
    return figure
