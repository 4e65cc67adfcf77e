import numpy as np
import pytest
from scipy.signal import convolve2d

from zoo.errors import UsageError
from zoo.evaluation.samples.reconstruction import mean_squared_error, psnr, ssim

IMAGES = np.random.default_rng(0).random((5, 28, 28, 3)).astype(np.float32)


def test_known_differences():
    shift = np.array([0.0, 0.1, 0.2, 0.3, 0.5]).reshape(5, 1, 1, 1)
    first = np.full((5, 28, 28, 3), 0.25)
    np.testing.assert_allclose(
        mean_squared_error(first, first + shift), shift.ravel() ** 2, atol=1e-7
    )
    np.testing.assert_allclose(
        psnr(first, first + shift), [np.inf, 20, 13.979, 10.458, 6.021], atol=1e-3
    )


def test_equal_images():
    np.testing.assert_allclose(ssim(IMAGES, IMAGES), 1, atol=1e-6)
    assert (mean_squared_error(IMAGES, IMAGES) == 0).all()


def test_ssim_agrees_with_its_definition():
    other = np.clip(0.5 * IMAGES + 0.5 * IMAGES[::-1], 0, 1)
    grid = np.arange(11) - 5
    window = np.exp(-(grid[:, None] ** 2 + grid**2) / (2 * 1.5**2))
    window /= window.sum()
    expected = np.zeros(5)
    for n in range(5):
        for c in range(3):
            a, b = IMAGES[n, ..., c].astype(np.float64), other[n, ..., c].astype(np.float64)
            ma, mb, aa, bb, ab = (
                convolve2d(x, window, mode="valid") for x in (a, b, a * a, b * b, a * b)
            )
            luminance = (2 * ma * mb + 1e-4) / (ma**2 + mb**2 + 1e-4)
            structure = (2 * (ab - ma * mb) + 9e-4) / (aa - ma**2 + bb - mb**2 + 9e-4)
            expected[n] += (luminance * structure).mean() / 3
    np.testing.assert_allclose(ssim(IMAGES, other), expected, atol=1e-5)


def test_one_image_does_not_depend_on_the_others():
    other = IMAGES[::-1].copy()
    for metric in (mean_squared_error, psnr, ssim):
        np.testing.assert_allclose(
            metric(IMAGES, other)[:1], metric(IMAGES[:1], other[:1]), rtol=1e-6
        )


@pytest.mark.parametrize("metric", [mean_squared_error, psnr, ssim])
@pytest.mark.parametrize(
    ("images", "reconstructions", "message"),
    [
        (IMAGES, IMAGES[:4], "expected equal"),
        (IMAGES * np.nan, IMAGES, "nan"),
        (255 * IMAGES, IMAGES, r"expected finite floats in \[0, 1\]"),
        (IMAGES, 2 * IMAGES - 1, r"expected finite floats in \[0, 1\]"),
        (IMAGES[:0], IMAGES[:0], "have the shape"),
    ],
)
def test_guards(metric, images, reconstructions, message):
    with pytest.raises(UsageError, match=message):
        metric(images, reconstructions)


def test_images_smaller_than_the_window_have_no_ssim():
    with pytest.raises(UsageError, match="10 x 28 pixels"):
        ssim(IMAGES[:, :10], IMAGES[:, :10])
