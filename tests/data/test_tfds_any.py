import numpy as np
import pytest
import tensorflow_datasets as tfds

from tests.flags import in_process
from zoo.config import DataConfig
from zoo.data import load_dataset
from zoo.errors import UsageError
from zoo.registry import source_of

SPLITS = {"train": range(30), "test": range(30, 35), "unlabeled": range(35, 37)}


class ZooTinyPets(tfds.core.GeneratorBasedBuilder):
    """Grey squares of several sizes, whose level tells their number."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "The first."}
    SHAPE = (None, None, 3)

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=self.SHAPE),
            "mask": tfds.features.Image(shape=(None, None, 1)),
            "label": tfds.features.ClassLabel(names=["cat", "dog"]),
        }
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict(features), disable_shuffling=True
        )

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(numbers) for split, numbers in SPLITS.items()}

    def _generate_examples(self, numbers):
        for number in numbers:
            height, width, channels = self.SHAPE
            shape = (height or 20 + number % 3, width or 20, channels)
            image = np.full(shape, 7 * number, np.uint8)
            yield number, {"image": image, "mask": image[..., :1], "label": number % 2}


class ZooTinyWide(ZooTinyPets):
    """All of one shape, which is no square."""

    VERSION = tfds.core.Version("1.0.0")
    SHAPE = (16, 24, 1)


class ZooTinyText(ZooTinyPets):
    """No images."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = tfds.features.FeaturesDict({"text": tfds.features.Text()})
        return tfds.core.DatasetInfo(builder=self, features=features)

    def _generate_examples(self, numbers):
        for number in numbers:
            yield number, {"text": str(number)}


@pytest.fixture
def data_dir(tmp_path):
    for builder in (ZooTinyPets, ZooTinyWide, ZooTinyText):
        builder(data_dir=tmp_path / "tfds").download_and_prepare()
    return str(tmp_path / "tfds")


def load(name, data_dir, **settings):
    return load_dataset(DataConfig(dataset=f"tfds:{name}", data_dir=data_dir, **settings))


@pytest.mark.parametrize(("size", "channels"), [(None, None), (32, 1), (48, 4)])
def test_images_of_several_sizes(data_dir, size, channels, warnings_logged):
    settings = {"image_size": size, "channels": channels}
    dataset = load("zoo_tiny_pets", data_dir, **settings)
    assert dataset.image_shape == (size or 64, size or 64, channels or 3)
    assert dataset.class_names == ["cat", "dog"]
    numbers = {
        "train": [i for i in range(30) if i % 10 != 8],
        "validation": [8, 18, 28],
        "test": SPLITS["test"],
    }
    for split, expected in numbers.items():
        part = dataset.split(split)
        np.testing.assert_array_equal(part.images[:, 0, 0, 0], 7 * np.array(expected))
        np.testing.assert_array_equal(part.labels, np.array(expected) % 2)
    assert "37 images found, 35 images used, 2 left out: 2 of other splits" in warnings_logged[0]
    assert load("zoo_tiny_pets", data_dir, **settings).fingerprint == dataset.fingerprint


def test_images_of_one_shape_are_used_as_they_are(data_dir):
    assert load("zoo_tiny_wide", data_dir).image_shape == (16, 24, 1)
    assert load("zoo_tiny_wide", data_dir, image_size=16).image_shape == (16, 16, 1)


def test_what_is_no_set_of_images_is_refused(data_dir):
    with pytest.raises(UsageError, match="has text: expected one feature of images") as raised:
        load("zoo_tiny_text", data_dir)
    assert "\n" not in str(raised.value)
    with pytest.raises(UsageError, match="TensorFlow Datasets has no 'zoo_no_such_set'") as raised:
        load("zoo_no_such_set", data_dir)
    assert "\n" not in str(raised.value)
    for name in ("tfds:", "tfd:mnist", "mnist"):
        with pytest.raises(UsageError, match="expected one of .*tfds:NAME"):
            DataConfig(dataset=name)
    assert source_of("tfds:a/b:1.0.0").image_shape is None


def test_through_the_program(data_dir, tmp_path, capsys):
    flags = ["--strategy=one_device", "--batch_size=8", "--width=0.06", "--latent_size=3"]
    flags += [f"--data_dir={data_dir}", "--image_size=28", "--steps=2", "--model=vae"]
    run_dir = f"--run_dir={tmp_path / 'run'}"
    assert in_process.call("train", run_dir, "--dataset=tfds:zoo_tiny_pets", *flags) == 0
    assert in_process.call("train", run_dir, "--dataset=tfds", *flags) == 2
    assert "tfds: did you mean tfds:NAME? expected one of" in capsys.readouterr().err
