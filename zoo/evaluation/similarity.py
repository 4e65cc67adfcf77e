"""How like are an image and its reconstruction: MSE, PSNR and SSIM, one value per image."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from zoo.errors import UsageError

SSIM_WINDOW = 11


def mean_squared_error(images: np.ndarray, reconstructions: np.ndarray) -> np.ndarray:
    """Mean over pixels and channels of the squared difference, of images [N, H, W, C] in [0, 1].

    Returns:
        float64 [N].

    Raises:
        UsageError: as `checked_images`, or the shapes differ.
    """
    images, reconstructions = checked_pair(images, reconstructions)
    return np.square(images.astype(np.float64) - reconstructions).mean(axis=(1, 2, 3))


def psnr(images: np.ndarray, reconstructions: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio -10 log10 MSE in dB; infinite where the images are equal.

    Args and errors as `mean_squared_error`.
    """
    error = mean_squared_error(images, reconstructions)
    with np.errstate(divide="ignore"):
        return -10 * np.log10(error)


def ssim(images: np.ndarray, reconstructions: np.ndarray) -> np.ndarray:
    """Structural similarity (Wang et al. 2004 [C]): 11x11 Gaussian window of deviation 1.5.

    Args and errors as `mean_squared_error`; images smaller than the window are refused too.

    Returns:
        float32 [N], at most 1.
    """
    images, reconstructions = checked_pair(images, reconstructions)
    if min(images.shape[1:3]) < SSIM_WINDOW:
        raise UsageError(
            f"images of {images.shape[1]} x {images.shape[2]} pixels have no SSIM: expected at "
            f"least {SSIM_WINDOW} x {SSIM_WINDOW}"
        )
    return tf.image.ssim(images, reconstructions, max_val=1.0, filter_size=SSIM_WINDOW).numpy()


def checked_pair(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two sets of images as `checked_images` of one shape, or `UsageError`."""
    first, second = checked_images(first), checked_images(second)
    if first.shape != second.shape:
        raise UsageError(f"images have shapes {first.shape} and {second.shape}: expected equal")
    return first, second


def checked_images(images: np.ndarray) -> np.ndarray:
    """`images` as float32 [N, H, W, C] in [0, 1].

    Raises:
        UsageError: they are not, or there are none.
    """
    images = np.asarray(images, np.float32)
    if images.ndim != 4 or 0 in images.shape:
        raise UsageError(f"images have shape {images.shape}: expected [N, H, W, C], not empty")
    low, high = images.min(), images.max()
    # Written so that NaN fails it; 1e-5 is the rounding of a network that rescales its output.
    if not (low >= -1e-5 and high <= 1 + 1e-5):
        raise UsageError(f"images hold values from {low:g} to {high:g}: expected 0 to 1")
    return images
