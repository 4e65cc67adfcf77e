"""Any set of images of TensorFlow Datasets, by its name."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo.config import DataConfig
from zoo.data import decoding, tfds_sets
from zoo.data.cache import Append, load_or_decode
from zoo.data.images import ImageDataset, consecutive
from zoo.data.listing import account
from zoo.data.splits import EVERY, NAMES, RULE, check_enough, fill
from zoo.errors import UsageError

DEFAULT_SIZE = 64  # of images that have several sizes; chosen
DEFAULT_CHANNELS = 3

OTHER_SPLITS = "of other splits"


def load(config: DataConfig) -> ImageDataset:
    """The set that `config.dataset` names after `tfds:`, as `tfds:emnist/letters`.

    Images are used as they are where all have one shape and neither size nor channels are asked
    for; else their central square is resized, to `config.image_size` or 64. Labels and their names
    are those of the feature `label`, or of the only one of classes. Splits that the set lacks are
    taken from its training images (`zoo.data.splits`).

    Raises:
        UsageError: there is no such set, it has no images or no training split, it is not prepared
            and cannot be, or its files are damaged.
    """
    name = config.dataset.partition(":")[2]
    builder = tfds_sets.prepared(name, config.data_dir)
    image, label = _features(builder, name)
    shape = tuple(builder.info.features[image].shape)
    whole = None not in shape and config.image_size is None and config.channels is None
    if not whole:
        size = config.image_size or DEFAULT_SIZE
        shape = (size, size, config.channels or shape[2] or DEFAULT_CHANNELS)
    sizes = {split: info.num_examples for split, info in builder.info.splits.items()}
    ours = {NAMES[split]: split for split in sizes if split in NAMES}
    check_enough({split: sizes[theirs] for split, theirs in ours.items()}, config.dataset)

    def decode(append: Append) -> dict[str, Any]:
        counts = {}
        for split, (origin, places) in fill(ours).items():
            images, labels, counts[split] = [], [], 0
            for number, example in enumerate(tfds_sets.examples(builder, ours[origin])):
                if number % EVERY in places:
                    images.append(_pixels(example[image], shape, whole))
                    labels.append(int(example[label]) if label else 0)
                    counts[split] += 1
                if len(images) == tfds_sets.BATCH:
                    append(np.stack(images), np.array(labels, np.int64) if label else None)
                    images, labels = [], []
            if images:
                append(np.stack(images), np.array(labels, np.int64) if label else None)
        return {"counts": counts}

    recipe = [RULE, decoding.DECODER_VERSION, whole]
    stem = f"tfds-{name.replace('/', '-')}"
    decoded = load_or_decode(stem, tfds_sets.ingredients(builder, recipe), shape, decode)
    others = {split: count for split, count in sizes.items() if split not in NAMES}
    left_out = {OTHER_SPLITS: (sum(others.values()), list(others))} if others else {}
    provenance = {
        **tfds_sets.provenance(builder),
        "resize": "none" if whole else f"{shape[0]}x{shape[1]}, central square, Pillow bilinear",
        "splits": RULE if len(ours) < 3 else "of the source",
        **account(config.dataset, builder.data_dir, len(decoded.images), left_out, what="images"),
    }
    splits = consecutive(decoded.notes["counts"], decoded.images, decoded.labels)
    class_names = builder.info.features[label].names if label else None
    return ImageDataset(config.dataset, splits, provenance, class_names)


def _features(builder: Any, name: str) -> tuple[str, str | None]:
    """The names of the feature that holds the images, and of that of the labels or None."""
    import tensorflow_datasets as tfds

    features = builder.info.features
    features = dict(features.items()) if isinstance(features, tfds.features.FeaturesDict) else {}
    images = [key for key, value in features.items() if isinstance(value, tfds.features.Image)]
    classes = [
        key for key, value in features.items() if isinstance(value, tfds.features.ClassLabel)
    ]
    images = ["image"] if "image" in images else images
    classes = ["label"] if "label" in classes else classes
    if len(images) != 1 or features[images[0]].np_dtype != np.uint8:
        raise UsageError(
            f"tfds:{name} has {', '.join(features) or 'no features'}: expected one feature of "
            "images of 8 bits"
        )
    return images[0], classes[0] if len(classes) == 1 else None


def _pixels(pixels: np.ndarray, shape: tuple[int, ...], whole: bool) -> np.ndarray:
    if whole:
        return pixels
    picture = decoding.from_array(pixels, shape[2])
    return decoding.crop_and_resize(picture, min(picture.size), shape[0])
