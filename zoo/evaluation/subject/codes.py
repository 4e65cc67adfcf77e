"""The codes of a data set, as one file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from zoo.data.images import ImageDataset
from zoo.evaluation.subject.subject import Subject
from zoo.files import atomic_file, user_path
from zoo.partial import partial_folder


def write_codes(
    subject: Subject, dataset: ImageDataset, splits: Sequence[str], output: str | Path
) -> int:
    """Encodes the images of some splits, in order, into an .npz; memory holds a batch at a time.

    Its arrays have a row per image: what the signature `encode` gives (`z` float32 `[N, D]`; `mean`
    and `stddev` where the posterior has them), `split`, and where the data have them `labels` int64
    and `names`, the files as paths below `data_dir`. `subject`, `weights` and `data_fingerprint`
    are texts that say of which model and data.

    Args:
        subject: needs the signature `encode`.
        dataset: whose images have the subject's shape.
        splits: names of its splits.
        output: the file.

    Returns:
        The number of images.

    Raises:
        UsageError: a split or the signature is missing, or the file cannot be written.
    """
    subject.require("encode")
    output, parts = user_path(output, "output"), [dataset.split(name) for name in splits]
    sizes = [len(part) for part in parts]
    columns: dict[str, np.ndarray] = {
        "split": np.repeat(list(splits), sizes),
        "subject": np.array(subject.name),
        "weights": np.array(subject.weights),
        "data_fingerprint": np.array(dataset.fingerprint),
    }
    if all(part.labels is not None for part in parts):
        columns["labels"] = np.concatenate([part.labels for part in parts])
    names = [name for part in parts for name in part.names or ()]
    if len(names) == sum(sizes):
        columns["names"] = np.array(names)
    with atomic_file(output) as temporary, partial_folder(output.parent) as scratch:
        row = 0
        with tqdm(desc="encoding", unit=" images", total=sum(sizes), delay=2) as bar:
            for batch in (b for p in parts for b in subject.batches("encode", images=p.images)):
                for name, values in batch.items():
                    if name not in columns:
                        columns[name] = np.lib.format.open_memmap(
                            scratch / f"{name}.npy",
                            mode="w+",
                            dtype=values.dtype,
                            shape=(sum(sizes), *values.shape[1:]),
                        )
                    columns[name][row : row + len(values)] = values
                row += len(values)
                bar.update(len(values))
        np.savez(temporary, allow_pickle=False, **columns)
    return sum(sizes)
