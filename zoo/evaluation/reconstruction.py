"""How well a model's own encoder and decoder reproduce images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from tqdm import tqdm

from zoo.config import EvaluationConfig
from zoo.errors import UsageError
from zoo.evaluation.records import Metric, Picture, Record, mean_record
from zoo.evaluation.similarity import SSIM_WINDOW, mean_squared_error, psnr, ssim
from zoo.evaluation.subjects import Subject
from zoo.pictures import side_by_side
from zoo.pixels import as_floats

SHOWN = 32  # chosen

_DEFINITIONS = {
    "reconstruction_mse": "mean over pixels and channels of the squared difference of x in [0, 1] "
    "and decode(encode(x)), the point code",
    "reconstruction_psnr": "-10 log10 MSE of each image, dB, mean over images",
    "reconstruction_ssim": "structural similarity, 11x11 Gaussian window, at most 1",
}


def reconstruct(subject: Subject, images: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches of images and their reconstructions through the point code, both `[B, H, W, C]` in
    [0, 1]."""
    start = 0
    for codes in subject.batches("encode", images=images):
        if "z" not in codes:
            raise UsageError(
                f"{subject.name}: its encode gives {', '.join(codes)}; expected z, the point code"
            )
        decoded = subject.all("decode", z=codes["z"])["images"]
        originals = as_floats(images[start : start + len(decoded)])
        yield originals, decoded
        start += len(decoded)


class Reconstruction(Metric):
    """MSE, PSNR and SSIM of a split."""

    name = "reconstruction"
    needs = ("encode", "decode")
    uses = ("split", "num_samples")

    def check(self, subject: Subject, dataset: Any, settings: EvaluationConfig) -> None:
        """See the base; SSIM has a window that has to fit into the images."""
        super().check(subject, dataset, settings)
        dataset.split(settings.split)
        if min(dataset.image_shape[:2]) < SSIM_WINDOW:
            raise UsageError(
                f"{dataset.name} has images {dataset.image_shape}: reconstruction's SSIM takes "
                f"sides of at least {SSIM_WINDOW} pixels"
            )

    def measure(
        self, subject: Subject, dataset: Any, settings: EvaluationConfig
    ) -> Iterator[Record | Picture]:
        """Yields the means over images."""
        images = dataset.split(settings.split).images
        images = images[: settings.count(len(images), len(images))]
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
