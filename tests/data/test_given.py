import shutil

import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo.config import DataConfig
from zoo.data import ImageDataset, Split, given, load_dataset
from zoo.data.given import dataset_of
from zoo.errors import UsageError

TINY = {
    "model": "vae",
    "strategy": "one_device",
    "batch_size": 8,
    "width": 0.06,
    "latent_size": 3,
    "steps": 2,
}


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (30, 28, 28, 3), dtype=np.uint8)


@pytest.fixture
def labels():
    return np.arange(30) % 3


def streams(images, labels):
    def of(*parts):
        return tf.data.Dataset.from_tensor_slices(parts if len(parts) > 1 else parts[0])

    floats = (images / 255).astype(np.float32)
    return {
        "images": of(images),
        "batches": of(images).batch(7),
        "floats": of(floats).batch(4),
        "pairs": of(images, labels),
        "batches of pairs": of(images, labels).batch(7),
        "dictionaries": of({"image": images, "label": labels}),
    }


@pytest.mark.parametrize("kind", ["images", "batches", "floats", "pairs", "batches of pairs"])
def test_a_stream_is_the_array_that_it_holds(images, labels, kind):
    stream = streams(images, labels)[kind]
    expected = dataset_of(images, labels if "pairs" in kind else None)
    assert dataset_of(stream).fingerprint == expected.fingerprint


def test_a_stream_of_dictionaries(images, labels):
    stream = streams(images, labels)["dictionaries"]
    assert dataset_of(stream).fingerprint == dataset_of(images, labels).fingerprint


def test_floats_are_kept_as_levels(images):
    assert dataset_of(images / 255).fingerprint == dataset_of(images).fingerprint


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda x: x / 1.0, "expected finite floats in"),
        (lambda x: x.astype(int), "images are int64"),
        (lambda x: [x[0], x[1, :9]], "several shapes"),
        (lambda x: 7, "images is a int: expected an array"),
        (lambda x: tf.data.Dataset.from_tensor_slices(x).repeat(), "has no end"),
        (lambda x: tf.data.Dataset.from_tensor_slices(x).take(0), "is empty"),
        (lambda x: tf.data.Dataset.from_tensor_slices((x, x, x)), "elements have 3 parts"),
        (lambda x: tf.data.Dataset.from_tensor_slices({"photo": x}), "expected image"),
        (lambda x: tf.data.Dataset.from_tensor_slices(x / 1.0), "expected finite floats in"),
    ],
)
def test_what_is_no_set_of_images_is_refused(tmp_path, images, make, said):
    with pytest.raises(UsageError, match=said):
        zoo.train(tmp_path / "run", images=make(images), **TINY)
    assert not (tmp_path / "run").exists()


def test_a_run_keeps_the_images_it_was_given(tmp_path, images, labels):
    run = zoo.train(tmp_path / "run", images=images, labels=labels, **TINY)
    own = dataset_of(images, labels)
    assert run.dataset.fingerprint == own.fingerprint
    # Elsewhere too, by another program, and without the array.
    shutil.move(tmp_path / "run", tmp_path / "moved")
    moved = zoo.load_run(tmp_path / "moved")
    assert moved.dataset.fingerprint == own.fingerprint
    assert isinstance(moved.dataset.split("train").images, np.memmap)
    again = zoo.train(tmp_path / "moved", images=images, labels=labels, **TINY | {"steps": 3})
    assert again.checkpoints.newest() == 3
    place = {"dataset": "array", "data_dir": str(tmp_path / "moved" / "data")}
    assert zoo.train(tmp_path / "moved", **TINY | {"steps": 4} | place).is_finished
    with pytest.raises(UsageError, match="holds another run: data"):
        zoo.train(tmp_path / "moved", images=images[::-1], labels=labels, **TINY)


def test_images_that_a_kill_kept_from_the_run_are_written_by_the_next(tmp_path, images):
    run = zoo.train(tmp_path / "run", images=images, **TINY)
    (run.path / "data" / "test.npy").unlink()
    again = zoo.train(tmp_path / "run", images=images, **TINY)
    assert again.dataset.fingerprint == dataset_of(images).fingerprint
    further = zoo.train(tmp_path / "run", images=images, steps=TINY["steps"] + 1)
    assert further.config.model == again.config.model
    assert int(further.model.step.numpy()) == TINY["steps"] + 1


def test_an_image_dataset_keeps_its_splits(tmp_path, images, labels):
    parts = {"train": slice(0, 12), "validation": slice(12, 18), "test": slice(18, 30)}
    splits = {name: Split(images[part], labels[part]) for name, part in parts.items()}
    run = zoo.train(tmp_path / "run", images=ImageDataset("mine", splits, {}), **TINY)
    for name, part in parts.items():
        np.testing.assert_array_equal(run.dataset.split(name).images, images[part])
        np.testing.assert_array_equal(run.dataset.labels(name), labels[part])


def test_a_path_is_read_where_it_is(tmp_path, images, save_image):
    np.save(tmp_path / "a.npy", images)
    run = zoo.train(tmp_path / "run", images=tmp_path / "a.npy", **TINY)
    assert run.dataset.fingerprint == dataset_of(images).fingerprint
    assert not (run.path / "data").exists()
    for number in range(10):
        save_image(tmp_path / "photos" / f"{number}.png", 30, 30)
    assert given.config_of(tmp_path / "photos").dataset == "folder"
    photos = zoo.train(tmp_path / "run2", images=str(tmp_path / "photos"), image_size=28, **TINY)
    assert len(photos.dataset.split("train")) == 8


def test_settings_of_other_data_are_refused(tmp_path, images, labels):
    for settings in ({"dataset": "cifar10"}, {"data_dir": str(tmp_path)}, {"image_size": 32}):
        with pytest.raises(UsageError, match="does not apply to images that are given"):
            zoo.train(tmp_path / "run", images=images, **TINY | settings)
    with pytest.raises(UsageError, match="labels are of images"):
        zoo.train(tmp_path / "run", labels=labels, **TINY)
    with pytest.raises(UsageError, match="has its own"):
        zoo.train(tmp_path / "run", images=streams(images, labels)["pairs"], labels=labels, **TINY)


def test_written_sets_are_read_as_they_were(tmp_path, images, labels):
    dataset = dataset_of(images, labels)
    given.write(dataset, tmp_path / "copy")
    config = DataConfig(dataset="array", data_dir=str(tmp_path / "copy"))
    assert load_dataset(config).fingerprint == dataset.fingerprint
