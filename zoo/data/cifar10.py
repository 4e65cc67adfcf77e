"""CIFAR-10 from TensorFlow Datasets."""

from __future__ import annotations

from zoo.config import DataConfig
from zoo.data import tfds_sets
from zoo.data.images import ImageDataset


def load(config: DataConfig) -> ImageDataset:
    """The 32 x 32 images with their classes: 45,000 / 5,000 / 10,000 (paper.md section 1 [C]).

    Raises:
        UsageError: TensorFlow Datasets has no CIFAR-10 and cannot fetch it.
    """
    decoded, source = tfds_sets.load(
        "cifar10", config.data_dir, splits=("train", "test"), image_shape=(32, 32, 3)
    )
    splits = tfds_sets.hold_out_validation(decoded, official_train=50_000)
    return ImageDataset("cifar10", splits, source)
