"""How devices share the work: tf.distribute, and nothing of our own."""

from __future__ import annotations

import functools
import signal
import threading

import tensorflow as tf

from zoo.errors import UsageError, WorkerLost, reason
from zoo.training.rendezvous import has_workers, meet, read_cluster


def make_strategy(name: str, cpu_devices: int | None = None) -> tf.distribute.Strategy:
    """The strategy of that name.

    Args:
        name: one of `zoo.config.STRATEGIES`. `auto` is `multi_worker` where TF_CONFIG is set,
            `mirrored` on several GPUs, and else `one_device`.
        cpu_devices: logical CPU devices for `mirrored`, in the place of GPUs.

    Raises:
        UsageError: the strategy needs something that is not there.
        WorkerLost: the other workers cannot be reached.
    """
    # The first two come before anything that starts TensorFlow's devices.
    if has_workers(name):
        return _multi_worker()
    if cpu_devices is not None:
        _split_cpu(cpu_devices)
    if name == "tpu":
        return _tpu()
    gpus = tf.config.list_logical_devices("GPU")
    if name == "one_device" or (name == "auto" and len(gpus) < 2):
        return tf.distribute.OneDeviceStrategy(gpus[0].name if gpus else "/cpu:0")
    devices = tf.config.list_logical_devices("CPU") if cpu_devices or not gpus else gpus
    return _mirrored(tuple(device.name for device in devices))


# A second MirroredStrategy in one process aborts with synchronised batch norm, and the workers of a
# cluster meet once; hence the caches.


@functools.cache
def _mirrored(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    return tf.distribute.MirroredStrategy(devices)


@functools.cache
def _multi_worker() -> tf.distribute.Strategy:
    meet(read_cluster())
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except tf.errors.OpError as error:
        raise WorkerLost(f"cannot meet the other workers: {reason(error)}") from error
    except RuntimeError as error:
        # Collectives are set up before TensorFlow's devices start, or not at all.
        raise UsageError(f"strategy=multi_worker cannot start in this process: {error}") from error
    finally:
        # TensorFlow takes SIGTERM for its own, and only notes it.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))


@functools.cache
def _tpu() -> tf.distribute.Strategy:
    # "local", the TPUs of this machine: the resolver then asks no metadata server.
    resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu="local")
    try:
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (tf.errors.OpError, RuntimeError) as error:
        devices = ", ".join(sorted({d.device_type for d in tf.config.list_physical_devices()}))
        raise UsageError(
            f"strategy=tpu finds no TPU, only {devices}: expected a TPU VM with a TensorFlow "
            "built for it"
        ) from error
    return tf.distribute.TPUStrategy(resolver)


def _split_cpu(count: int) -> None:
    """Makes `count` logical devices of the CPU."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    wanted = [tf.config.LogicalDeviceConfiguration()] * count
    if len(tf.config.get_logical_device_configuration(cpu) or ()) == count:
        return
    try:
        tf.config.set_logical_device_configuration(cpu, wanted)
    except RuntimeError:
        there = len(tf.config.list_logical_devices("CPU"))
        raise UsageError(
            f"cpu_devices={count} comes too late: TensorFlow has started with {there} CPU devices"
        ) from None
