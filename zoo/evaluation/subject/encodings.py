"""Posterior parameters of a data set, computed once per checkpoint and reused by the estimators."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging
from tqdm import tqdm

from zoo.data.images import ImageDataset
from zoo.errors import UsageError
from zoo.evaluation.subject.subject import Subject
from zoo.files import atomic_file, read_bytes

ENCODED_SPLITS = ("train", "validation")  # the aggregate posterior is taken over both [P]

MEANINGS = {"mean": "E[z_i|x]", "z": "the point code z_i of x"}  # of codes, the first preferred


@dataclasses.dataclass(frozen=True)
class Encodings:
    """Diagonal Gaussian posteriors of N examples: `mean` and `stddev`, float32 `[N, D]`.

    With `flow` these are the Gaussians that a flow, shared by all examples, carries to codes; the
    signature `to_base` inverts it.
    """

    mean: np.ndarray
    stddev: np.ndarray
    flow: bool = False


def check_encodings(
    subject: Subject, dataset: ImageDataset, splits: Sequence[str] = ENCODED_SPLITS
) -> None:
    """Raises `UsageError`, naming what is missing, where `encode_dataset` cannot work."""
    subject.require("encode")
    for split in splits:
        dataset.split(split)
    if not subject.gives("encode", "stddev"):
        _parameters(subject, subject.functions["encode"].structured_outputs)


def encode_dataset(
    subject: Subject,
    dataset: ImageDataset,
    splits: Sequence[str] = ENCODED_SPLITS,
    cache: Path | None = None,
) -> Encodings:
    """Encodes the splits of a data set, in order.

    Args:
        subject: needs the signature `encode` with `mean` and `stddev`, or with `base_mean` and
            `base_stddev` beside the signature `to_base`.
        dataset: an `ImageDataset`.
        splits: whose examples.
        cache: an .npz that is used if it is of these weights, data and splits, and else written;
            without one the subject keeps them in memory.

    Raises:
        UsageError: a split is missing, or the posterior is no Gaussian and none carried through a
            flow that all images share.
    """
    key = f"{subject.weights} {dataset.fingerprint} {','.join(splits)}"
    if cache is None:
        return subject.once(("encodings", key), lambda: _encode(subject, dataset, splits))
    cached = _read(cache, key)
    if cached is not None:
        return cached
    encodings = _encode(subject, dataset, splits)
    try:
        with atomic_file(cache) as temporary:
            np.savez(temporary, key=key, **dataclasses.asdict(encodings))
    except UsageError as error:  # of a run that may only be read, say
        logging.warning("the encodings are not kept: %s", error)
    return encodings


def _encode(subject: Subject, dataset: ImageDataset, splits: Sequence[str]) -> Encodings:
    images = [dataset.split(split).images for split in splits]
    parts = []
    with tqdm(desc="encoding", unit=" images", total=sum(map(len, images)), delay=2) as bar:
        for batch in (b for part in images for b in subject.batches("encode", images=part)):
            names = _parameters(subject, batch)
            parts.append([batch[name] for name in names])
            bar.update(len(parts[-1][0]))
    mean, stddev = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Encodings(mean, stddev, flow=names[0] == "base_mean")


def mean_code(subject: Subject, outputs: Mapping[str, np.ndarray]) -> str:
    """The name, of `MEANINGS`, of the code of an image among the outputs of `encode`.

    Raises:
        UsageError: there is none.
    """
    for name in MEANINGS:
        if name in outputs:
            return name
    raise UsageError(
        f"{subject.name}: its encode gives {', '.join(outputs)}; expected "
        f"{' or '.join(MEANINGS)}, a code of each image"
    )


def images_at(
    dataset: ImageDataset, index: np.ndarray, splits: Sequence[str] = ENCODED_SPLITS
) -> np.ndarray:
    """The images `[len(index), H, W, C]` of the examples that `encode_dataset` numbers so."""
    parts = [dataset.split(split).images for split in splits]
    images = np.empty((len(index), *dataset.image_shape), np.uint8)
    first = 0
    for part in parts:  # joined, they could be gigabytes of a memory map
        inside = (index >= first) & (index < first + len(part))
        images[inside] = part[index[inside] - first]
        first += len(part)
    return images


def _parameters(subject: Subject, outputs: Any) -> tuple[str, str]:
    """The names of mean and standard deviation among the outputs of `encode`."""
    for names in (("mean", "stddev"), ("base_mean", "base_stddev")):
        if set(names) <= set(outputs):
            break
    else:
        raise UsageError(
            f"{subject.name}: its encode gives {', '.join(outputs)}; expected mean and stddev "
            "of a Gaussian posterior"
        )
    if names[0] == "base_mean" and "to_base" not in subject.functions:
        raise UsageError(
            f"{subject.name}: its posterior carries a Gaussian through a flow, and it has no "
            "signature 'to_base', which a flow that depends on the image (flow_context) cannot "
            "have: every pair of a code and an image would be an inversion of its own"
        )
    return names


def _read(cache: Path, key: str) -> Encodings | None:
    if not cache.exists():
        return None
    try:
        with np.load(io.BytesIO(read_bytes(cache))) as file:
            if str(file["key"]) != key:
                return None
            return Encodings(file["mean"], file["stddev"], bool(file["flow"]))
    except Exception:  # damage has many faces, and encoding again is the answer to each
        return None
