"""Image sets: one file per source, one common `ImageDataset`.

A new source is a loader in a file of its own, an entry in `LOADERS` and its name in
`zoo.config.DATASETS`. Nothing here imports TensorFlow before a set that needs it is loaded.
"""

from collections.abc import Callable

from zoo.config import DataConfig
from zoo.data import celeb_a, cifar10, color_mnist, folder
from zoo.data.images import ImageDataset, Split

__all__ = ["LOADERS", "ImageDataset", "Split", "load_dataset"]

LOADERS: dict[str, Callable[[DataConfig], ImageDataset]] = {
    "color_mnist_mini": color_mnist.load_mini,
    "color_mnist": color_mnist.load,
    "cifar10": cifar10.load,
    "celeb_a": celeb_a.load,
    "folder": folder.load,
}


def load_dataset(config: DataConfig) -> ImageDataset:
    """The images that `config` names, split into train, validation and test.

    Raises:
        UsageError: the data are missing, damaged or too few; one line names the remedy.
    """
    return LOADERS[config.dataset](config)
