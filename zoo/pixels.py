"""Images as arrays: uint8 on disk and in caches, float32 in [0, 1] everywhere else.

Nothing else converts, but for training input and signatures, which do the same in their graphs.
"""

from __future__ import annotations

import numpy as np

from zoo.errors import UsageError


def as_floats(images: np.ndarray) -> np.ndarray:
    """float32 images: k / 255 of a grey level k where they are uint8, floats as they are."""
    if images.dtype == np.uint8:
        return images.astype(np.float32) / np.float32(255)
    return np.asarray(images, np.float32)


def as_levels(images: np.ndarray) -> np.ndarray:
    """uint8 grey levels of floats, those outside [0, 1] clipped; NaN is black."""
    return np.rint(np.clip(np.nan_to_num(images), 0, 1) * 255).astype(np.uint8)


def check_images(images: np.ndarray, image_shape: tuple[int, int, int]) -> np.ndarray:
    """`as_floats` of images that somebody gives, once they are what they have to be.

    Args:
        images: `[N, H, W, C]`, uint8, or floats in [0, 1].
        image_shape: the `(H, W, C)` that is expected.

    Raises:
        UsageError: type, shape or values are others, or there is no image at all.
    """
    wanted = f"[N, {', '.join(map(str, image_shape))}]"
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        raise UsageError(f"images are {images.dtype}: expected uint8, or floats in [0, 1]")
    if images.shape[1:] != tuple(image_shape) or not len(images):
        raise UsageError(f"images have the shape {list(images.shape)}: expected {wanted}")
    # Written so that NaN fails it.
    if images.dtype != np.uint8 and not (images.min() >= 0 and images.max() <= 1):
        raise UsageError(
            f"images lie in [{images.min():.4g}, {images.max():.4g}]: expected finite floats in "
            "[0, 1], or uint8"
        )
    return as_floats(images)
