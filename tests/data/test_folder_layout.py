"""What sub-folders and channels make of a folder of images."""

import json

import numpy as np
import pytest
from PIL import Image

import zoo
from tests.flags import in_process
from zoo.config import DataConfig
from zoo.data import load_dataset
from zoo.errors import UsageError

TINY = ("--strategy=one_device", "--batch_size=8", "--width=0.06", "--latent_size=3")


def load(folder, **settings):
    return load_dataset(DataConfig(dataset="folder", data_dir=str(folder), **settings))


def fill(folder, name, count, level, mode="L"):
    """So many images of a sub-folder, each of one level or colour."""
    (folder / name).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.new(mode, (20, 20), level).save(folder / name / f"{number}.png")


@pytest.fixture
def pets(tmp_path):
    folder = tmp_path / "pets"
    fill(folder, "dog/small", 14, 200)
    fill(folder, "Cat", 16, 100)
    return folder


def assert_labels(dataset, levels):
    for split in dataset.splits.values():
        np.testing.assert_array_equal(split.images[:, 0, 0, 0], np.array(levels)[split.labels])


def test_sub_folders_are_classes(pets):
    dataset = load(pets)
    assert dataset.class_names == ["Cat", "dog"]
    assert [len(s) for s in dataset.splits.values()] == [24, 3, 3]
    assert_labels(dataset, [100, 200])
    assert_labels(load(pets), [100, 200])  # from the cache
    assert sum((s.labels == 0).sum() for s in dataset.splits.values()) == 16


def test_labels_stay_with_their_images_where_some_are_broken(pets):
    for name in ("dog/small/3.png", "Cat/7.png"):
        (pets / name).write_bytes(b"broken")
    dataset = load(pets, skip_broken=True)
    assert sum(map(len, dataset.splits.values())) == 28
    assert_labels(dataset, [100, 200])


def test_one_sub_folder_or_an_image_beside_them_makes_no_classes(pets, tmp_path):
    (pets / "Cat/0.png").rename(pets / "0.png")
    assert load(pets).class_names is None and load(pets).split("train").labels is None
    fill(tmp_path / "one", "only", 12, 7)
    assert load(tmp_path / "one").class_names is None


def test_a_run_of_before_there_were_labels_goes_on(pets):
    dataset = load(pets)
    splits = {k: zoo.data.Split(s.images) for k, s in dataset.splits.items()}
    before = zoo.data.ImageDataset("folder", splits, {})
    assert dataset.fingerprint != before.fingerprint and dataset.is_of(before.fingerprint)
    assert not before.is_of(dataset.fingerprint)


def test_sub_folders_of_splits(tmp_path):
    for split, level, count in (("Train", 10, 20), ("val", 50, 3), ("test", 90, 4)):
        fill(tmp_path / "set", f"{split}/a", count, level)
        fill(tmp_path / "set", f"{split}/b", count, level + 5)
    dataset = load(tmp_path / "set")
    assert dataset.class_names == ["a", "b"]
    for split, level, count in (("train", 10, 40), ("validation", 50, 6), ("test", 90, 8)):
        part = dataset.split(split)
        assert len(part) == count
        np.testing.assert_array_equal(part.images[:, 0, 0, 0], level + 5 * part.labels)


def test_a_split_that_is_missing_comes_from_training(tmp_path):
    fill(tmp_path / "set", "train", 20, 10)
    fill(tmp_path / "set", "test", 5, 90)
    dataset = load(tmp_path / "set")
    assert [len(s) for s in dataset.splits.values()] == [18, 2, 5]
    assert dataset.split("test").images.min() == 90 and dataset.split("train").images.max() == 10
    assert dataset.class_names is None


def test_splits_without_training_images_are_refused(tmp_path):
    fill(tmp_path / "set", "val", 10, 10)
    fill(tmp_path / "set", "test", 5, 90)
    with pytest.raises(UsageError, match="no training images, only"):
        load(tmp_path / "set")


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        (1, [[76], [166]]),  # luma of red and of half-transparent blue on white
        (2, [[76, 255], [29, 100]]),
        (3, [[255, 0, 0], [155, 155, 255]]),
        (4, [[255, 0, 0, 255], [0, 0, 255, 100]]),
    ],
)
def test_channels(tmp_path, channels, expected):
    fill(tmp_path / "set", "opaque", 10, (255, 0, 0), "RGB")
    fill(tmp_path / "set", "transparent", 10, (0, 0, 255, 100), "RGBA")
    dataset = load(tmp_path / "set", channels=channels, image_size=16)
    assert dataset.image_shape == (16, 16, channels)
    for split in dataset.splits.values():
        wanted = np.array(expected)[split.labels]
        got = split.images.astype(int)
        assert np.abs(got - wanted[:, None, None]).max() <= 1


@pytest.mark.parametrize("ending", ["tif", "jfif", "webp", "bmp", "gif", "ppm", "tga", "jp2"])
def test_every_type_that_pillow_decodes(tmp_path, ending):
    kind = {"jfif": "JPEG", "tga": "TGA"}.get(ending)
    for number in range(10):
        Image.new("RGB", (32, 32), (90, 90, 90)).save(tmp_path / f"{number}.{ending}", format=kind)
    assert load(tmp_path, channels=1, image_size=32).split("train").images.shape == (8, 32, 32, 1)


def test_names_of_classes_reach_config_and_model_card(pets, tmp_path):
    flags = ["--dataset=folder", f"--data_dir={pets}", "--image_size=28", "--channels=1", *TINY]
    run_dir = f"--run_dir={tmp_path / 'run'}"
    assert in_process.call("train", run_dir, "--steps=2", "--model=vae", *flags) == 0
    assert in_process.call("train", run_dir, "--steps=3", "--model=vae", *flags) == 0
    assert zoo.load_run(tmp_path / "run").class_names == ("Cat", "dog")
    assert in_process.call("evaluate", run_dir, "--metrics=elbo") == 0
    assert in_process.call("export", run_dir, f"--output={tmp_path}", "--name=pets") == 0
    card = json.loads((tmp_path / "pets/1/assets/model_card.json").read_text())
    assert card["class_names"] == ["Cat", "dog"] and card["image_shape"] == [28, 28, 1]
    config = tmp_path / "run" / "config.json"
    config.write_text(config.read_text().replace('"Cat"', "7"))
    with pytest.raises(UsageError, match="class_names=.7, 'dog'.: expected a list of texts"):
        zoo.load_run(tmp_path / "run")
