"""Image sets: one file per source, one common `ImageDataset`.

A new source is a loader in a file of its own, and a line in `zoo.registry.DATASETS`. Nothing here
imports TensorFlow before a set that needs it is loaded.
"""

from zoo.config import DataConfig
from zoo.data.images import ImageDataset, Split
from zoo.registry import follow, source_of

__all__ = ["ImageDataset", "Split", "load_dataset"]


def load_dataset(config: DataConfig) -> ImageDataset:
    """The images that `config` names, split into train, validation and test.

    Raises:
        UsageError: the data are missing, damaged or too few; one line names the remedy.
    """
    return follow(source_of(config.dataset).loader)(config)
