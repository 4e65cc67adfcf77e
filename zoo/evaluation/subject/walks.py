"""Walks through the space of codes: between two images, and along single dimensions."""

from __future__ import annotations

import dataclasses

import numpy as np

from zoo.data.images import ImageDataset
from zoo.errors import UsageError
from zoo.evaluation.gaussians import kl_of_dimensions
from zoo.evaluation.subject.subject import Subject

ENCODED = 1000  # images whose mean KL orders the dimensions; chosen
EXTENT = 3.0  # standard deviations of the prior, to both sides; chosen
STEPS = 9  # images a row; chosen: an odd number, so that 0 is among them

_PARALLEL = 1e-6  # sine of an angle below which an arc is no arc


def point_codes(subject: Subject, images: np.ndarray) -> np.ndarray:
    """`z` float32 `[N, D]` of images `[N, H, W, C]`, uint8 or in [0, 1].

    Raises:
        UsageError: there is no encoder, or it gives no point code.
    """
    codes = subject.all("encode", images=images)
    if "z" not in codes:
        raise UsageError(
            f"{subject.name}: its encode gives {', '.join(codes)}; expected z, the point code"
        )
    return codes["z"]


def slerp(first: np.ndarray, second: np.ndarray, count: int) -> np.ndarray:
    """Codes `[count, D]` from `first` `[D]` to `second` along the arc between them (White 2016): a
    straight line would leave the shell in which the prior's draws lie. Straight all the same where
    the two point the same way, opposite ways, or none.
    """
    position = np.linspace(0, 1, count, dtype=np.float64)[:, None]
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    lengths = np.linalg.norm(first) * np.linalg.norm(second)
    cosine = np.clip(first @ second / lengths, -1, 1) if lengths else 1.0
    angle = np.arccos(cosine)
    if np.sin(angle) < _PARALLEL:
        walk = (1 - position) * first + position * second
    else:
        arcs = np.sin((1 - position) * angle), np.sin(position * angle)
        walk = (arcs[0] * first + arcs[1] * second) / np.sin(angle)
    return walk.astype(np.float32)


@dataclasses.dataclass(frozen=True)
class Traversal:
    """Rows of codes, each along one dimension.

    Attributes:
        z: float32 `[R * STEPS, D]`, row after row.
        dimensions: int64 `[R]`, that of the largest KL first.
        kl: float64 `[R]`, mean KL of each from the prior, nats.
    """

    z: np.ndarray
    dimensions: np.ndarray
    kl: np.ndarray


def traversal(subject: Subject, dataset: ImageDataset, rows: int, seed: int = 0) -> Traversal:
    """Around the code of a validation image, by number `seed`, the dimensions of the largest mean
    KL(q(z_i|x)||p(z_i)), from -3 to 3 standard deviations of the prior.

    Raises:
        UsageError: the posterior is no Gaussian of independent dimensions, or the prior not
            N(0, I).
    """
    subject.require("encode", "decode")
    if not subject.has_standard_prior:
        raise UsageError(
            f"{subject.name}: its prior is {subject.prior}, whose dimensions have no standard "
            "deviations and no KL of their own: expected N(0, I)"
        )
    split = "validation" if "validation" in dataset.splits else next(iter(dataset.splits))
    images = dataset.split(split).some(ENCODED).images
    codes = subject.all("encode", images=images)
    if not {"mean", "stddev"} <= set(codes):
        raise UsageError(
            f"{subject.name}: its encode gives {', '.join(codes)}; expected mean and stddev of a "
            "Gaussian, whose dimensions have a KL each"
        )
    kl = kl_of_dimensions(codes["mean"], codes["stddev"])
    largest = np.argsort(-kl, kind="stable")[:rows]
    z = np.tile(codes["mean"][seed % len(images)], (len(largest), STEPS, 1))
    for row, dimension in enumerate(largest):
        z[row, :, dimension] = np.linspace(-EXTENT, EXTENT, STEPS)
    return Traversal(z.reshape(-1, z.shape[-1]).astype(np.float32), largest, kl[largest])
