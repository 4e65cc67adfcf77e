"""How devices share the work: tf.distribute, and nothing of our own."""

from __future__ import annotations

import functools

import tensorflow as tf

from zoo.config import TrainingConfig
from zoo.errors import UsageError


@functools.cache
def make_strategy(name: str) -> tf.distribute.Strategy:
    """The strategy of that name, one object per process.

    A second MirroredStrategy in one process aborts with synchronised batch norm, hence the cache.

    Raises:
        UsageError: the strategy needs something that is not there.
    """
    gpus = tf.config.list_logical_devices("GPU")
    if name == "auto":
        name = "mirrored" if len(gpus) > 1 else "one_device"
    if name == "one_device":
        return tf.distribute.OneDeviceStrategy(gpus[0].name if gpus else "/cpu:0")
    if name == "mirrored":
        devices = gpus or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    raise UsageError(f"strategy={name} is not available in this version")


def check_replicas(config: TrainingConfig, replicas: int) -> None:
    """Refuses what does not work on this many replicas.

    Raises:
        UsageError: naming the setting.
    """
    if config.batch_size % replicas:
        raise UsageError(
            f"batch_size={config.batch_size} does not divide over {replicas} replicas: "
            f"expected a multiple of {replicas}"
        )
    if replicas > 1 and config.jit_compile:
        raise UsageError(f"jit_compile works on one replica only; there are {replicas}")
    if replicas > 1 and config.steps_per_execution > 1:
        raise UsageError(
            f"steps_per_execution={config.steps_per_execution} works on one replica only; "
            f"there are {replicas}"
        )
