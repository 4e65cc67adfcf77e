"""MS-SSIM, and the diversity of a set of images that is made of it.

The recipe is that of Fedus, Rosca et al. 2018 (compare_gan [F]): an 11x11 Gaussian window of
deviation 1.5, cut to the size of the image where a scale is smaller (its deviation stays), five
scales with Wang's exponents, 2x2 average pooling between them, negative contrast terms set to 0.
Sides of odd length repeat their last row or column before pooling, so that 28 pixels become 14, 7,
4 and 2. From 161 pixels upwards the result is that of `tf.image.ssim_multiscale`, which refuses
anything smaller.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from zoo.config import EvaluationConfig
from zoo.data.images import ImageDataset
from zoo.errors import UsageError
from zoo.evaluation.protocol import Metric
from zoo.evaluation.statistics import standard_error
from zoo.evaluation.subject.subject import Subject
from zoo.pixels import as_floats, check_images, check_pair
from zoo.records import Record

_EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003 [F]
_WINDOW, _DEVIATION = 11, 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
LEAST_SIDE = 2 ** (len(_EXPONENTS) - 1)  # of which one pixel remains at the last scale
BATCH_SIZE, BATCHES = 64, 5  # [F:S10]


@dataclasses.dataclass(frozen=True)
class Diversity:
    """1 - mean MS-SSIM over pairs of images: 0 if all are equal."""

    value: float
    standard_error: float
    batches: int
    n: int  # images used, in whole batches


class _Scale(NamedTuple):
    """One scale of images and what every pair needs of them."""

    pixels: tf.Tensor  # [N, C, H, W] in 0..255
    mean: tf.Tensor  # [N, C, h, w], under the window
    mean_square: tf.Tensor


def ms_ssim(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """MS-SSIM of each image with its partner, mean over the channels.

    Args:
        first: [N, H, W, C] in [0, 1], sides of at least 16 pixels.
        second: likewise.

    Returns:
        float32 [N], in [0, 1] up to rounding.

    Raises:
        UsageError: these are no such images, or the shapes differ.
    """
    first, second = check_pair(first, second)
    _check_side(first)
    return _similarity(_pyramid(tf.constant(first)), _pyramid(tf.constant(second))).numpy()


def ms_ssim_diversity(images: np.ndarray, batch_size: int = 64) -> Diversity:
    """1 - the mean MS-SSIM of all ordered pairs of different images of a batch.

    The pairs of an image have that image in common: as a U-statistic the mean has the standard
    error 2 sd(h) / sqrt(N), h_i the mean similarity of image i with the others of its batch. Pairs
    taken as independent would give a tenth of it, five batches one of a third more or less.

    Args:
        images: [N, H, W, C] in [0, 1], in random order; as published 5 batches of 64 [F]. What is
            left over after whole batches is not used.
        batch_size: B, of whose images the mean is (sum_ij S_ij - B) / (B^2 - B); 64 [F].

    Raises:
        UsageError: these are no such images, or fewer than one batch.
    """
    images = check_images(images, tolerance=1e-5)
    _check_side(images)
    if batch_size < 2 or len(images) < batch_size:
        raise UsageError(
            f"{len(images)} images in batches of {batch_size} have no diversity: expected at "
            "least one whole batch of at least 2"
        )
    batches = len(images) // batch_size
    parts = np.split(images[: batches * batch_size], batches)
    similar = np.concatenate([_mean_with_others(tf.constant(part)).numpy() for part in parts])
    similar = similar.astype(np.float64)
    return Diversity(
        value=float(1 - similar.mean()),
        standard_error=2 * standard_error(similar),
        batches=batches,
        n=batches * batch_size,
    )


@tf.function
def _mean_with_others(images: tf.Tensor) -> tf.Tensor:
    """The mean similarity of each image with the others `[B]`; each pair is computed once."""
    scales = _pyramid(images)
    count = tf.shape(images)[0]
    total = tf.zeros(count)
    for i in tf.range(count - 1):
        one = [_Scale(*(part[i : i + 1] for part in scale)) for scale in scales]
        others = [_Scale(*(part[i + 1 :] for part in scale)) for scale in scales]
        values = _similarity(one, others)
        total += tf.concat([tf.zeros(i), [tf.reduce_sum(values)], values], axis=0)
    return total / tf.cast(count - 1, tf.float32)


def _similarity(first: list[_Scale], second: list[_Scale]) -> tf.Tensor:
    """MS-SSIM [N] of two pyramids; one of a single image goes with all of the other."""
    product = tf.constant(1.0)
    for k, (a, b) in enumerate(zip(first, second, strict=True)):
        mean_product = a.mean * b.mean
        mean_squares = tf.square(a.mean) + tf.square(b.mean)
        covariance = _blur(a.pixels * b.pixels) - mean_product
        variances = a.mean_square + b.mean_square - mean_squares
        term = (2 * covariance + _C2) / (variances + _C2)
        if k == len(_EXPONENTS) - 1:  # luminance counts at the last scale only
            term *= (2 * mean_product + _C1) / (mean_squares + _C1)
        product *= tf.nn.relu(tf.reduce_mean(term, axis=(2, 3))) ** _EXPONENTS[k]
    return tf.reduce_mean(product, axis=1)


def _pyramid(images: tf.Tensor) -> list[_Scale]:
    """The five scales of images [N, H, W, C] in [0, 1]."""
    pixels = 255 * tf.transpose(images, (0, 3, 1, 2))
    scales = []
    for k in range(len(_EXPONENTS)):
        if k:
            pixels = _halve(pixels)
        scales.append(_Scale(pixels, _blur(pixels), _blur(tf.square(pixels))))
    return scales


def _halve(pixels: tf.Tensor) -> tf.Tensor:
    """2x2 average pooling of [N, C, H, W]."""
    _, channels, height, width = pixels.shape
    odd = [[0, 0], [0, 0], [0, height % 2], [0, width % 2]]
    pixels = tf.pad(pixels, odd, mode="SYMMETRIC")
    rows, columns = pixels.shape[2] // 2, pixels.shape[3] // 2
    return tf.reduce_mean(tf.reshape(pixels, (-1, channels, rows, 2, columns, 2)), axis=(3, 5))


def _blur(pixels: tf.Tensor) -> tf.Tensor:
    """Gaussian mean of [N, C, H, W] under every whole window; separable, so two products, each of
    which takes the first of the two sides and puts what is left of it last."""
    height, width = pixels.shape[2:]
    window = min(_WINDOW, height, width)
    for side in (height, width):
        # Not tf.matmul: of a batch and one matrix transposed it writes beyond its memory on
        # processors with AVX-512 (TensorFlow 2.21).
        pixels = tf.tensordot(pixels, _band(side, window), [[2], [1]])
    return pixels


def _band(size: int, window: int) -> np.ndarray:
    """[size - window + 1, size]: each row the normalised Gaussian window, one pixel further on."""
    offsets = np.arange(window) - (window - 1) / 2
    weights = np.exp(-0.5 * np.square(offsets / _DEVIATION))
    band = np.zeros((size - window + 1, size), np.float32)
    for row in range(len(band)):
        band[row, row : row + window] = weights / weights.sum()
    return band


def _check_side(images: np.ndarray) -> None:
    if min(images.shape[1:3]) < LEAST_SIDE:
        raise UsageError(
            f"images of {images.shape[1]} x {images.shape[2]} pixels have no MS-SSIM of "
            f"{len(_EXPONENTS)} scales: expected at least {LEAST_SIDE} x {LEAST_SIDE}"
        )


class MsSsimDiversity(Metric):
    """1 - mean MS-SSIM over pairs of samples, and of as many images of a split."""

    name = "ms_ssim_diversity"
    needs = ("sample",)
    uses = ("split", "num_samples", "seed")
    revision = 2

    def check(self, subject: Subject, dataset: ImageDataset, settings: EvaluationConfig) -> None:
        """As every metric's; it takes whole batches of images of at least 16 pixels."""
        super().check(subject, dataset, settings)
        available = len(dataset.split(settings.split))
        if subject.at_most(settings.count(BATCH_SIZE, available)) < BATCH_SIZE:
            asked = f"num_samples={settings.num_samples}, " if settings.num_samples else ""
            given = "" if subject.available is None else f", {subject.available} samples"
            raise UsageError(
                f"too few for ms_ssim_diversity: {asked}{available} {settings.split} images"
                f"{given}; expected at least {BATCH_SIZE} of both"
            )
        if min(dataset.image_shape[:2]) < LEAST_SIDE:
            raise UsageError(
                f"{dataset.name} has images {dataset.image_shape}: ms_ssim_diversity takes sides "
                f"of at least {LEAST_SIDE} pixels"
            )

    def measure(
        self, subject: Subject, dataset: ImageDataset, settings: EvaluationConfig
    ) -> Iterator[Record]:
        """Yields the diversity of the data, then of the samples."""
        images = dataset.split(settings.split).images
        count = subject.at_most(settings.count(BATCHES * BATCH_SIZE, len(images)))
        count -= count % BATCH_SIZE
        # Sorted sets would have batches that are more alike than the set.
        chosen = np.random.default_rng(settings.seed).permutation(len(images))[:count]
        data = as_floats(images[chosen])
        yield _record("ms_ssim_diversity_data", ms_ssim_diversity(data), settings.split)
        samples = subject.all("sample", seed=settings.seed, count=count)["images"]
        yield _record("ms_ssim_diversity", ms_ssim_diversity(samples), None)


def _record(name: str, diversity: Diversity, split: str | None) -> Record:
    what = f"images of {split}" if split else "samples"
    return Record(
        name,
        diversity.value,
        diversity.standard_error,
        diversity.n,
        split,
        f"1 - mean MS-SSIM over all pairs of different {what} of a batch of {BATCH_SIZE}, mean "
        "over batches; 0 if all are equal; standard error of a U-statistic",
        {"batches": diversity.batches},
    )
