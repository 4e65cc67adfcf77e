"""TensorFlow Datasets: the one module that imports it, and only when it is called."""

from __future__ import annotations

import contextlib
import os
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging
from tqdm import tqdm

from zoo.data.cache import Append, Decoded, file_state, load_or_decode
from zoo.data.images import Split, consecutive
from zoo.errors import UsageError
from zoo.files import user_path

BATCH = 256  # images handed on at a time; chosen
VALIDATION = 5_000  # of the official training images (paper.md section 1 [C])
PROBE_SECONDS = 10.0  # chosen

HOST = "https://storage.googleapis.com"  # where TensorFlow Datasets asks about any set

# Without a network TensorFlow Datasets retries for three and a half minutes before it gives up, so
# the host of each set is asked first.
HOSTS = {
    "mnist": HOST,
    "fashion_mnist": "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    "cifar10": "https://www.cs.toronto.edu",
    "celeb_a": "https://drive.google.com",
}

Transform = Callable[[np.ndarray, str, int], np.ndarray]


def load(
    name: str,
    data_dir: str | None,
    *,
    splits: Sequence[str],
    image_shape: tuple[int, int, int],
    transform: Transform | None = None,
    recipe: Any = None,
    remedy: str = "",
) -> tuple[Decoded, dict[str, Any]]:
    """Reads whole splits in their fixed order, preparing the data set when that was not done yet.

    Args:
        name: of the data set.
        data_dir: of TensorFlow Datasets; None for its own default.
        splits: official names, in the order in which the arrays will hold them.
        image_shape: `(H, W, C)` after `transform`.
        transform: called with uint8 images `[n, h, w, c]`, the split, and the position of the
            first of them in it; returns uint8 `[n, H, W, C]`.
        recipe: JSON-able, all that determines `transform`.
        remedy: one more way out for who has no network, for the error message.

    Returns:
        The images (labels where the set has `label`), with `notes["counts"]` by split, and their
        provenance.

    Raises:
        UsageError: the data set is not prepared and cannot be, or its files are damaged.
    """
    builder = prepared(name, data_dir, splits[0], remedy)

    def decode(append: Append) -> dict:
        counts = {}
        for split in splits:
            count = 0
            for images, labels in _batches(builder, split):
                append(transform(images, split, count) if transform else images, labels)
                count += len(images)
            counts[split] = count
        return {"counts": counts}

    decoded = load_or_decode(name, ingredients(builder, recipe), image_shape, decode)
    return decoded, provenance(builder)


def hold_out_validation(decoded: Decoded, official_train: int) -> dict[str, Split]:
    """Makes the last 5,000 training images the validation split; see `held_out`.

    Args:
        decoded: splits `train` and `test`, in this order.
        official_train: number of training images in the whole set.
    """
    train, test = decoded.notes["counts"]["train"], decoded.notes["counts"]["test"]
    validation = held_out(train, official_train)
    counts = {"train": train - validation, "validation": validation, "test": test}
    return consecutive(counts, decoded.images, decoded.labels)


def held_out(train: int, official_train: int) -> int:
    """Of so many training images, how many are for validation: 5,000, or of a set that is smaller
    than the official one the same proportion."""
    return max(1, round(VALIDATION * min(1.0, train / official_train)))


def prepared(name: str, data_dir: str | None, split: str | None = None, remedy: str = "") -> Any:
    """The builder of a data set whose files are there, downloaded where they were not.

    Args:
        name: of the data set, with its configuration as in `emnist/letters`.
        data_dir: of TensorFlow Datasets; None for its own default.
        split: one that it has; any where that is not known.
        remedy: as in `load`.

    Raises:
        UsageError: as `load`, or there is no such data set.
    """
    import tensorflow_datasets as tfds

    _check_place(name, data_dir)
    with _quiet():
        try:
            builder = tfds.builder(name, data_dir=data_dir)
            try:
                builder.as_dataset(split=split)
            except AssertionError:  # How TensorFlow Datasets says that nothing is prepared.
                _download(builder, remedy)
        except (UsageError, ImportError):
            raise
        except tfds.core.DatasetNotFoundError:
            raise UsageError(
                f"TensorFlow Datasets has no {name!r}: expected one of its names"
            ) from None
        except Exception as error:  # Each damaged file of metadata has an exception of its own.
            raise _damaged(name, data_dir, error) from error
    return builder


def _check_place(name: str, data_dir: str | None) -> None:
    """Refuses what TensorFlow Datasets would wait for, or write where nobody looks for it."""
    place: str | Path | None = data_dir or os.environ.get("TFDS_DATA_DIR")
    if place is None:
        try:
            place = user_path("~/tensorflow_datasets")
        except UsageError:  # it would make a folder called `~`
            raise UsageError(
                f"{name} is kept in the home folder, and none is known: give --data_dir"
            ) from None
    if os.path.exists(place) and not os.path.isdir(place):
        raise UsageError(f"data_dir={place} is a file: expected a folder")
    for file in Path(place, name).rglob("*"):
        if file.exists() and not (file.is_file() or file.is_dir()):
            raise _damaged(name, place, OSError(f"{file} is not a regular file"))


def _download(builder: Any, remedy: str) -> None:
    remedies = ["run once with network access", "give --data_dir=<a prepared copy>", remedy]
    missing = f"{builder.name} is not prepared in {Path(builder.data_dir).parents[1]} and"
    ways = "; ".join(filter(None, remedies))
    host = HOSTS.get(builder.name, HOST)
    if not _reachable(host):
        raise UsageError(f"{missing} {host} cannot be reached to download it: {ways}")
    try:
        builder.download_and_prepare()
    except Exception as error:  # Network, quota, checksum, disk: each has an exception of its own.
        raise UsageError(f"{missing} its download failed ({_brief(error)}): {ways}") from error


def _reachable(url: str) -> bool:
    """Whether a host answers at all, proxies included."""
    try:
        urllib.request.urlopen(url, timeout=PROBE_SECONDS).close()
    except urllib.error.HTTPError:
        return True
    except urllib.error.URLError as error:  # Who has certificates of his own is not cut off.
        return isinstance(error.reason, ssl.SSLError)
    except OSError:
        return False
    return True


def _batches(builder: Any, split: str) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    for batch in examples(builder, split, BATCH):
        yield batch["image"], batch["label"].astype(np.int64) if "label" in batch else None


def examples(builder: Any, split: str, batch_size: int | None = None) -> Iterator[dict[str, Any]]:
    """The examples of a split as NumPy arrays, one by one or in batches, in an order that stays.

    Raises:
        UsageError: the files are damaged.
    """
    import tensorflow_datasets as tfds

    # One file after the other gives the same order on every machine.
    reading = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
    try:
        with _quiet():
            dataset = builder.as_dataset(split=split, read_config=reading)
        dataset = dataset if batch_size is None else dataset.batch(batch_size)
        progress = tqdm(unit="image", desc=f"{builder.name} {split}", disable=None, delay=2.0)
        with progress:
            for example in tfds.as_numpy(dataset):
                yield example
                progress.update(1 if batch_size is None else len(next(iter(example.values()))))
    except Exception as error:  # Damage shows as errors of TensorFlow, Python or the file system.
        raise _damaged(builder.name, builder.data_dir, error) from error


def provenance(builder: Any) -> dict[str, Any]:
    """Which data set, and where it lies."""
    return {
        "source": "TensorFlow Datasets",
        "name": builder.name,
        "version": str(builder.version),
        "data_dir": str(builder.data_dir),
    }


def ingredients(builder: Any, recipe: Any) -> Any:
    """What determines the content; None where the files are not on a local disk."""
    folder = Path(builder.data_dir)
    if not folder.is_dir():
        return None
    files = sorted(path for path in folder.iterdir() if path.is_file())
    return [str(folder), [[path.name, file_state(path)] for path in files], recipe]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the progress reports of TensorFlow Datasets out of the programs' output."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)


def _damaged(name: str, where: Any, error: Exception) -> UsageError:
    return UsageError(
        f"the prepared copy of {name} in {where or 'the default data_dir'} cannot be read "
        f"({_brief(error)}): move its folder {name} away, so that it is prepared again"
    )


def _brief(error: Exception) -> str:
    """One line of an error, without the node names that TensorFlow puts around it."""
    text = re.sub(r"\{\{.*?\}\}|\[Op:.*", "", str(error), flags=re.DOTALL)
    return " ".join(text.split())[:200] or type(error).__name__
