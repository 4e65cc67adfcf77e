import itertools

import numpy as np
import pytest
import tensorflow as tf
from scipy.signal import convolve2d

from zoo.errors import UsageError
from zoo.evaluation.samples.ms_ssim_diversity import ms_ssim, ms_ssim_diversity

EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def images(n, size, seed=0):
    """Smooth images with noise: contrast at every scale."""
    generator = np.random.default_rng(seed)
    height, width = (size, size) if isinstance(size, int) else size
    coarse = tf.image.resize(generator.random((n, 4, 4, 3)), (height, width)).numpy()
    return np.clip(coarse + 0.05 * generator.normal(size=coarse.shape), 0, 1).astype(np.float32)


def reference(first, second):
    """The recipe again, float64, one image and channel at a time."""
    values = []
    for channel in range(first.shape[-1]):
        a, b = (255 * x[..., channel].astype(np.float64) for x in (first, second))
        value = 1.0
        for scale, exponent in enumerate(EXPONENTS):
            if scale:
                a, b = (np.pad(x, [(0, s % 2) for s in x.shape], mode="edge") for x in (a, b))
                a, b = (
                    (x[::2, ::2] + x[1::2, ::2] + x[::2, 1::2] + x[1::2, 1::2]) / 4 for x in (a, b)
                )
            size = min(11, *a.shape)
            grid = np.arange(size) - (size - 1) / 2
            window = np.exp(-(grid[:, None] ** 2 + grid**2) / (2 * 1.5**2))
            window /= window.sum()
            blur = lambda x, w=window: convolve2d(x, w, mode="valid")  # noqa: E731
            ma, mb = blur(a), blur(b)
            va, vb, cov = blur(a * a) - ma**2, blur(b * b) - mb**2, blur(a * b) - ma * mb
            term = (2 * cov + 58.5225) / (va + vb + 58.5225)
            if scale == 4:
                term = term * (2 * ma * mb + 6.5025) / (ma**2 + mb**2 + 6.5025)
            value *= max(term.mean(), 0) ** exponent
        values.append(value)
    return np.mean(values)


@pytest.mark.parametrize("size", [28, 32, 64, (28, 45)])
def test_small_images_agree_with_the_recipe(size):
    first = images(4, size)
    second = np.concatenate([first[:2] * 0.8 + 0.1, images(2, size, seed=1)])
    expected = [reference(a, b) for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose(ms_ssim(first, second), expected, atol=1e-4)
    assert np.std(expected) > 0.05


@pytest.mark.parametrize("size", [176, 181])
def test_large_images_agree_with_tensorflow(size):
    first = images(2, size)
    second = np.clip(first + 0.1 * np.random.default_rng(1).normal(size=first.shape), 0, 1)
    second = second.astype(np.float32)
    expected = tf.image.ssim_multiscale(255 * first, 255 * second, max_val=255.0)
    np.testing.assert_allclose(ms_ssim(first, second), expected, atol=2e-5)


@pytest.mark.parametrize("size", [28, 32, 64])
def test_an_image_is_like_itself_and_likeness_is_symmetric(size):
    first, second = images(6, size), images(6, size, seed=1)
    np.testing.assert_allclose(ms_ssim(first, first), 1, atol=1e-6)
    np.testing.assert_allclose(ms_ssim(first, second), ms_ssim(second, first), atol=1e-6)
    assert (ms_ssim(first, second) < 0.9).all()


@pytest.mark.parametrize("size", [28, 32, 64])
def test_constant_images_have_no_diversity(size):
    result = ms_ssim_diversity(np.full((128, size, size, 3), 0.3, np.float32))
    assert result.value == pytest.approx(0, abs=1e-5)
    assert (result.batches, result.n) == (2, 128)


def test_equal_images_have_no_diversity():
    result = ms_ssim_diversity(np.repeat(images(1, 28), 64, axis=0))
    assert result.value == pytest.approx(0, abs=1e-4)


def test_diversity_is_the_mean_over_ordered_pairs_of_each_batch():
    x = images(13, 28)
    with_others = []
    for batch in (x[:6], x[6:12]):
        pairs = [(a, b) for a, b in itertools.permutations(range(6), 2)]
        first, second = (batch[[pair[i] for pair in pairs]] for i in (0, 1))
        with_others += list(ms_ssim(first, second).reshape(6, 5).mean(axis=1))
    result = ms_ssim_diversity(x, batch_size=6)
    assert result.value == pytest.approx(1 - np.mean(with_others), abs=1e-5)
    error = 2 * np.std(with_others, ddof=1) / 12**0.5
    assert result.standard_error == pytest.approx(error, rel=1e-3)
    assert result.n == 12


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ms_ssim_diversity(images(63, 28)), "63 images in batches of 64"),
        (lambda: ms_ssim_diversity(images(4, 28), batch_size=1), "batches of 1"),
        (lambda: ms_ssim_diversity(images(64, 28) * 255), r"expected finite floats in \[0, 1\]"),
        (lambda: ms_ssim_diversity(images(64, 28) * np.nan), "nan"),
        (lambda: ms_ssim(images(2, 28), images(3, 28)), "expected equal"),
        (lambda: ms_ssim(images(2, 12), images(2, 12)), "12 x 12 pixels"),
        (lambda: ms_ssim(images(1, 28)[0], images(1, 28)[0]), "have the shape"),
    ],
)
def test_guards(call, message):
    with pytest.raises(UsageError, match=message):
        call()
