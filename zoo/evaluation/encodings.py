"""Posterior parameters of a data set, computed once per checkpoint and reused by the estimators."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from zoo.errors import UsageError
from zoo.evaluation.subjects import Subject
from zoo.files import atomic_file

SPLITS = ("train", "validation")  # the aggregate posterior is taken over both [P]


@dataclasses.dataclass(frozen=True)
class Encodings:
    """Diagonal Gaussian posteriors of N examples: `mean` and `stddev`, float32 `[N, D]`."""

    mean: np.ndarray
    stddev: np.ndarray


def encode_dataset(
    subject: Subject, dataset: Any, splits: Sequence[str] = SPLITS, cache: Path | None = None
) -> Encodings:
    """Encodes the splits of a data set, in order.

    Args:
        subject: needs the signature `encode` with `mean` and `stddev`.
        dataset: an `ImageDataset`.
        splits: whose examples.
        cache: an .npz that is used if it is of this step, these data and splits, and else written.

    Raises:
        UsageError: the posterior has no mean and standard deviation.
    """
    key = f"{subject.step} {dataset.fingerprint} {','.join(splits)}"
    cached = _read(cache, key)
    if cached is not None:
        return cached
    parts = []
    for split in splits:
        outputs = subject.all("encode", images=dataset.split(split).images)
        if "stddev" not in outputs:
            raise UsageError(
                f"{subject.name}: its encode gives {', '.join(outputs)}; expected mean and stddev "
                "of a Gaussian posterior"
            )
        parts.append(outputs)
    encodings = Encodings(
        *(np.concatenate([p[name] for p in parts]) for name in ("mean", "stddev"))
    )
    if cache is not None:
        try:
            with atomic_file(cache) as temporary:
                np.savez(temporary, key=key, **dataclasses.asdict(encodings))
        except UsageError as error:  # of a run that may only be read, say
            logging.warning("the encodings are not kept: %s", error)
    return encodings


def _read(cache: Path | None, key: str) -> Encodings | None:
    if cache is None or not cache.exists():
        return None
    try:
        with cache.open("rb") as raw, np.load(raw) as file:  # NumPy leaves a bad file open
            return Encodings(file["mean"], file["stddev"]) if str(file["key"]) == key else None
    except Exception:  # damage has many faces, and encoding again is the answer to each
        return None
