"""How well a model's own encoder and decoder reproduce images: MSE, PSNR and SSIM."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from zoo.config import EvaluationConfig
from zoo.data.images import ImageDataset
from zoo.errors import UsageError
from zoo.evaluation.protocol import Metric, Picture, mean_record
from zoo.evaluation.subject.subject import Subject
from zoo.evaluation.subject.walks import point_codes
from zoo.pictures import side_by_side
from zoo.pixels import as_floats, check_pair
from zoo.records import Record

SHOWN = 32  # chosen
SSIM_WINDOW = 11

_DEFINITIONS = {
    "reconstruction_mse": "mean over pixels and channels of the squared difference of x in [0, 1] "
    "and decode(encode(x)), the point code",
    "reconstruction_psnr": "-10 log10 MSE of each image, dB, mean over images",
    "reconstruction_ssim": "structural similarity, 11x11 Gaussian window, at most 1",
}


def mean_squared_error(images: np.ndarray, reconstructions: np.ndarray) -> np.ndarray:
    """Mean over pixels and channels of the squared difference, of images [N, H, W, C] in [0, 1].

    Returns:
        float64 [N].

    Raises:
        UsageError: as `check_images`, or the shapes differ.
    """
    images, reconstructions = check_pair(images, reconstructions)
    return np.square(images.astype(np.float64) - reconstructions).mean(axis=(1, 2, 3))


def psnr(images: np.ndarray, reconstructions: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio -10 log10 MSE in dB; infinite where the images are equal.

    Args and errors as `mean_squared_error`.
    """
    error = mean_squared_error(images, reconstructions)
    with np.errstate(divide="ignore"):
        return -10 * np.log10(error)


def ssim(images: np.ndarray, reconstructions: np.ndarray) -> np.ndarray:
    """Structural similarity (Wang et al. 2004 [C]): 11x11 Gaussian window of deviation 1.5.

    Args and errors as `mean_squared_error`; images smaller than the window are refused too.

    Returns:
        float32 [N], at most 1.
    """
    images, reconstructions = check_pair(images, reconstructions)
    if min(images.shape[1:3]) < SSIM_WINDOW:
        raise UsageError(
            f"images of {images.shape[1]} x {images.shape[2]} pixels have no SSIM: expected at "
            f"least {SSIM_WINDOW} x {SSIM_WINDOW}"
        )
    return tf.image.ssim(images, reconstructions, max_val=1.0, filter_size=SSIM_WINDOW).numpy()


def reconstruct(subject: Subject, images: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches of images and their reconstructions through the point code, both `[B, H, W, C]` in
    [0, 1]."""
    for start in range(0, len(images), subject.batch_size):
        part = images[start : start + subject.batch_size]
        yield as_floats(part), subject.all("decode", z=point_codes(subject, part))["images"]


class Reconstruction(Metric):
    """MSE, PSNR and SSIM of a split."""

    name = "reconstruction"
    higher_is_better = ("reconstruction_psnr", "reconstruction_ssim")
    lower_is_better = ("reconstruction_mse",)
    needs = ("encode", "decode")
    uses = ("split", "num_samples")
    revision = 2

    def check(self, subject: Subject, dataset: ImageDataset, settings: EvaluationConfig) -> None:
        """As every metric's; SSIM has a window that has to fit into the images."""
        super().check(subject, dataset, settings)
        dataset.split(settings.split)
        if min(dataset.image_shape[:2]) < SSIM_WINDOW:
            raise UsageError(
                f"{dataset.name} has images {dataset.image_shape}: reconstruction's SSIM takes "
                f"sides of at least {SSIM_WINDOW} pixels"
            )

    def measure(
        self, subject: Subject, dataset: ImageDataset, settings: EvaluationConfig
    ) -> Iterator[Record | Picture]:
        """Yields the means over images."""
        images = self.examples(dataset, settings).images
        functions = (mean_squared_error, psnr, ssim)
        parts, shown = [], None
        with tqdm(desc="reconstruction", unit=" images", total=len(images), delay=2) as bar:
            for originals, decoded in reconstruct(subject, images):
                if shown is None:
                    shown = side_by_side(originals[:SHOWN], decoded[:SHOWN])
                parts.append([function(originals, decoded) for function in functions])
                bar.update(len(decoded))
        columns = map(np.concatenate, zip(*parts, strict=True))
        for name, values in zip(_DEFINITIONS, columns, strict=True):
            finite = values[np.isfinite(values)].astype(np.float64)
            if len(finite):  # an image that is reproduced exactly has no PSNR
                record = (name, finite, settings.split, _DEFINITIONS[name])
                yield mean_record(*record, exact=len(values) - len(finite))
        caption = f"{settings.split} images, each row above its reconstructions."
        yield Picture("images", caption.capitalize(), shown)
