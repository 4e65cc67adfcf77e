"""The door of a model: what callers hand to its methods is checked before anything is computed.

Tensors of a graph under construction pass: the training input is the zoo's own, and exported
signatures have guards in their graphs.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tensorflow as tf

from zoo.errors import UsageError
from zoo.pixels import as_float_tensor, check_images
from zoo.registry import DATASETS

OUT_OF_RANGE = "images must be finite floats in [0, 1], or uint8; their least and greatest value:"
UNEVEN = "a batch must have as many images for each replica; images and replicas:"


def take_images(images: Any, image_shape: tuple[int, int, int]) -> tf.Tensor:
    """float32 `[N, H, W, C]` in [0, 1] of uint8, or of floats in [0, 1].

    Raises:
        UsageError: they are neither, or of another shape.
    """
    if tf.is_symbolic_tensor(images):
        return as_float_tensor(images)
    floats = check_images(_array("images", images), image_shape)
    # A tensor that needs no change stays the same one, for a gradient with respect to it.
    same = tf.is_tensor(images) and images.dtype == tf.float32
    return images if same else tf.constant(floats)


def take_codes(z: Any, latent_size: int) -> tf.Tensor:
    """float32 `[N, D]`.

    Raises:
        UsageError: they are not finite, or of another shape.
    """
    if tf.is_symbolic_tensor(z):
        return z
    values = _array("z", z)
    if values.dtype.kind not in "fi" or values.shape[1:] != (latent_size,) or not len(values):
        raise UsageError(
            f"z is {values.dtype} of the shape {list(values.shape)}: expected numbers, "
            f"[N, {latent_size}]"
        )
    if not np.isfinite(values).all():
        raise UsageError("z holds a value that is not finite: expected finite numbers")
    same = tf.is_tensor(z) and z.dtype == tf.float32
    return z if same else tf.constant(values, tf.float32)


def take_batches(
    data: Any, image_shape: tuple[int, int, int], passes: int = 1, labels: bool = False
) -> Any:
    """What Keras's methods may be given: arrays of images, or a `tf.data.Dataset` of batches of
    them, with or without labels. What comes from a `tf.distribute` pipeline passes.

    Args:
        data: what was given.
        image_shape: `(H, W, C)`.
        passes: batches that a step takes. So many consecutive ones of a data set become one, unless
            its batches are `[N, passes, H, W, C]`.
        labels: keep the labels that come along.

    Raises:
        UsageError: images are not what they have to be; of a data set, type and shape alone can be
            seen beforehand, and values that are out of range end its iteration with
            `tf.errors.InvalidArgumentError`.
    """
    if isinstance(data, tf.data.Dataset):
        spec = data.element_spec
        images = spec[0] if isinstance(spec, tuple) else spec
        tensor = isinstance(images, tf.TensorSpec)
        if not tensor or not (images.dtype == tf.uint8 or images.dtype.is_floating):
            raise UsageError(
                f"the data set has elements {spec}: expected batches of images, uint8 or floats, "
                "alone or with labels"
            )
        arranged = passes > 1 and images.shape.rank == len(image_shape) + 2
        wanted = (passes, *image_shape) if arranged else image_shape
        if not images.shape.is_compatible_with([None, *wanted]):
            shape = images.shape.as_list() if images.shape.rank is not None else None
            raise UsageError(
                f"the data set has images of the shape {shape}: expected "
                f"[N, {', '.join(map(str, wanted))}]"
            )
        data = data.map(_checked_in_graph if labels else lambda *row: _checked_in_graph(row[0]))
        return data if arranged or passes == 1 else _joined(data, image_shape, passes)
    if data is None or hasattr(data, "element_spec"):
        return data
    if not is_array(data):
        raise UsageError(
            f"images are a {type(data).__name__}: expected an array or a tf.data.Dataset"
        )
    return check_images(_array("images", data), image_shape)


def check_shares(data: Any, batch_size: int, held_out: float, replicas: int) -> Any:
    """`data` as `take_batches` gives it, where the replicas can share each batch alike: noise is
    that of the row of the whole batch, and losses are means of as many rows each.

    Args:
        data: what was taken.
        batch_size: of an array.
        held_out: share of an array that is not trained on.
        replicas: how many share a batch.

    Raises:
        UsageError: they cannot; of a data set whose batches have no fixed size, such a batch ends
            the iteration with `tf.errors.InvalidArgumentError`.
    """
    if replicas == 1 or data is None:
        return data
    if isinstance(data, tf.data.Dataset):
        return data.map(lambda *row: _shared_in_graph(replicas, *row))
    if hasattr(data, "element_spec"):
        return data
    images = math.floor(len(data) * (1 - held_out))  # as Keras has it
    for rows in (batch_size, images % batch_size):
        if rows % replicas:
            raise UsageError(
                f"{images} images in batches of {batch_size}: {replicas} replicas cannot share "
                f"{rows} images alike: expected a multiple of {replicas}"
            )
    return data


def is_array(data: Any) -> bool:
    """Whether it can be taken as one array of images."""
    return isinstance(data, list) or tf.is_tensor(data) or hasattr(data, "__array__")


def _joined(data: tf.data.Dataset, image_shape: tuple[int, ...], count: int) -> tf.data.Dataset:
    """The rows of each `count` consecutive batches, which may differ in size, as one batch."""
    none = tf.zeros([0, *image_shape])

    def rows(batches: tf.data.Dataset) -> tf.Tensor:
        return batches.reduce(none, lambda before, batch: tf.concat([before, batch], axis=0))

    return data.window(count).map(rows)


def _checked_in_graph(images: tf.Tensor, *others: tf.Tensor) -> Any:
    if images.dtype != tf.uint8:
        inside = tf.reduce_all((images >= 0.0) & (images <= 1.0))  # False for NaN
        low, high = tf.reduce_min(images), tf.reduce_max(images)
        images = _only_if(inside, images, [OUT_OF_RANGE, low, high])
    images = as_float_tensor(images)
    return (images, *others) if others else images


def _shared_in_graph(replicas: int, images: tf.Tensor, *others: tf.Tensor) -> Any:
    rows = tf.shape(images)[0]
    images = _only_if(rows % replicas == 0, images, [UNEVEN, rows, replicas])
    return (images, *others) if others else images


def _only_if(condition: tf.Tensor, images: tf.Tensor, told: list[Any]) -> tf.Tensor:
    with tf.control_dependencies([tf.debugging.Assert(condition, told)]):
        return tf.identity(images)


def _array(name: str, values: Any) -> np.ndarray:
    try:
        return np.asarray(values)
    except Exception as error:  # a ragged list, say
        raise UsageError(f"{name} are no array: {error}") from None


def shape_of(dataset: str | None, image_shape: tuple[int, int, int] | None) -> tuple[int, int, int]:
    """`(H, W, C)` of a data set that has one, or the one given, or that of `color_mnist_mini`.

    Raises:
        UsageError: both are given, or the shape is none of images.
    """
    if dataset is None and image_shape is not None:
        if len(image_shape) != 3 or not all(isinstance(n, int) and n > 0 for n in image_shape):
            raise UsageError(
                f"image_shape={image_shape!r} is not accepted: expected (height, width, channels)"
            )
        height, width, channels = image_shape
        return height, width, channels
    name = "color_mnist_mini" if dataset is None else dataset
    own = DATASETS[name].image_shape if name in DATASETS else None
    if own is None or image_shape is not None:
        known = ", ".join(name for name, source in DATASETS.items() if source.image_shape)
        raise UsageError(
            f"dataset={dataset!r}, image_shape={image_shape!r}: expected a data set whose "
            f"images have a shape of their own ({known}), or a shape"
        )
    return own
