"""Images as arrays: uint8 on disk and in caches, float32 in [0, 1] everywhere else.

Nothing else converts.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo.errors import UsageError


def as_floats(images: np.ndarray) -> np.ndarray:
    """float32 images: k / 255 of a grey level k where they are uint8, floats as they are."""
    if images.dtype == np.uint8:
        return images.astype(np.float32) / np.float32(255)
    return np.asarray(images, np.float32)


def as_float_tensor(images: Any) -> Any:
    """`as_floats` in TensorFlow, of a tensor that is uint8 or holds floats."""
    import tensorflow as tf

    floats = tf.cast(images, tf.float32)
    return floats / 255.0 if images.dtype == tf.uint8 else floats


def as_levels(images: np.ndarray) -> np.ndarray:
    """uint8 grey levels of floats, those outside [0, 1] clipped; NaN is black."""
    return np.rint(np.clip(np.nan_to_num(images), 0, 1) * 255).astype(np.uint8)


def check_images(
    images: np.ndarray, image_shape: tuple[int, ...] | None = None, tolerance: float = 0.0
) -> np.ndarray:
    """`as_floats` of images that somebody gives, once they are what they have to be.

    Args:
        images: `[N, H, W, C]`, uint8, or floats in [0, 1].
        image_shape: the `(H, W, C)` that is expected; None for any.
        tolerance: by how much floats may lie outside, for the rounding of a network's outputs.

    Raises:
        UsageError: type, shape or values are others, or there is no image at all.
    """
    images = np.asarray(images)
    wanted = f"[N, {', '.join(map(str, image_shape or ('H', 'W', 'C')))}]"
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        raise UsageError(f"images are {images.dtype}: expected uint8, or floats in [0, 1]")
    fits = images.ndim == 4 if image_shape is None else images.shape[1:] == tuple(image_shape)
    if not fits or 0 in images.shape:
        raise UsageError(f"images have the shape {list(images.shape)}: expected {wanted}")
    # Written so that NaN fails it.
    low, high = images.min(), images.max()
    if images.dtype != np.uint8 and not (low >= -tolerance and high <= 1 + tolerance):
        raise UsageError(
            f"images lie in [{low:.4g}, {high:.4g}]: expected finite floats in [0, 1], or uint8"
        )
    return as_floats(images)


def check_pair(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two sets of images of one shape, by `check_images`, 1e-5 outside [0, 1] allowed.

    Raises:
        UsageError: they are not, or their shapes differ.
    """
    first, second = check_images(first, tolerance=1e-5), check_images(second, tolerance=1e-5)
    if first.shape != second.shape:
        raise UsageError(f"images have shapes {first.shape} and {second.shape}: expected equal")
    return first, second
