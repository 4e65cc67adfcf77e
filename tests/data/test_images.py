import json
import subprocess
import sys

import numpy as np
import pytest

from zoo.data import ImageDataset, Split
from zoo.data.images import consecutive
from zoo.errors import UsageError
from zoo.registry import DATASETS, follow


def make(images, sizes=(6, 2, 2), labels=None):
    counts = dict(zip(("train", "validation", "test"), sizes, strict=True))
    return ImageDataset("toy", consecutive(counts, images, labels), {})


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (10, 4, 5, 3), dtype=np.uint8)


def test_every_dataset_has_a_loader():
    assert all(callable(follow(source.loader)) for source in DATASETS.values())


def test_importing_the_package_does_not_import_tensorflow():
    code = "import sys, zoo.data; print([m for m in sys.modules if m.startswith('tensorflow')])"
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert output.stdout.strip() == "[]"


def test_consecutive_cuts_images_and_labels_alike(images):
    labels = np.arange(10)
    splits = consecutive({"test": 3, "train": 5, "validation": 2}, images, labels)
    assert list(splits) == ["train", "validation", "test"]
    for name, expected in {
        "test": [0, 1, 2],
        "train": [3, 4, 5, 6, 7],
        "validation": [8, 9],
    }.items():
        np.testing.assert_array_equal(splits[name].labels, expected)
        np.testing.assert_array_equal(splits[name].images, images[expected])


def test_some_of_a_sorted_split_are_of_all_of_it():
    labels = np.repeat(np.arange(10), 100)
    images = np.broadcast_to(labels[:, None, None, None], (1000, 2, 2, 1)).astype(np.uint8)
    split = Split(images, labels, [f"{i:03d}.png" for i in range(1000)])
    found = split.some(200)
    counts = np.bincount(found.labels)
    assert counts.sum() == 200 and len(counts) == 10 and 8 <= counts.min() <= counts.max() <= 32
    assert (found.images[:, 0, 0, 0] == found.labels).all() and (np.diff(found.labels) >= 0).all()
    assert [int(name[:3]) // 100 for name in found.names] == found.labels.tolist()
    assert set(split.some(20).names) < set(found.names) == set(split.some(200).names)
    assert split.some(1000) is split.some(5000) is split
    assert Split(images).some(3).labels is Split(images).some(3).names is None


def test_image_shape_and_split(images):
    dataset = make(images)
    assert dataset.image_shape == (4, 5, 3)
    assert len(dataset.split("validation")) == 2
    with pytest.raises(UsageError, match="split='valid'.*train, validation, test"):
        dataset.split("valid")


def test_an_empty_split_is_refused(images):
    with pytest.raises(UsageError, match="split test is empty"):
        make(images, sizes=(8, 2, 0))


@pytest.mark.parametrize(
    "splits",
    [
        {"train": Split(np.zeros((2, 4, 4, 3), np.float32))},
        {"train": Split(np.zeros((2, 4, 4), np.uint8))},
        {"train": Split(np.zeros((2, 4, 4, 3), np.uint8), np.zeros(3, np.int64))},
        {"train": Split(np.zeros((2, 4, 4, 3), np.uint8), np.zeros(2, np.int32))},
        {"valid": Split(np.zeros((2, 4, 4, 3), np.uint8))},
        {
            "train": Split(np.zeros((2, 4, 4, 3), np.uint8)),
            "test": Split(np.zeros((2, 4, 4, 1), np.uint8)),
        },
    ],
)
def test_wrong_arrays_are_refused(splits):
    with pytest.raises(ValueError):
        ImageDataset("toy", splits, {})


def test_fingerprint_depends_on_content_sizes_and_shape(images):
    dataset = make(images)
    assert dataset.fingerprint == make(images.copy()).fingerprint
    assert len(dataset.fingerprint) == 16 and int(dataset.fingerprint, 16) >= 0
    others = [make(images, sizes=(5, 3, 2)), make(images.reshape(10, 5, 4, 3))]
    for position in (0, 7, 9):  # one image of each split
        changed = images.copy()
        changed[position, 0, 0, 0] ^= 1
        others.append(make(changed))
    fingerprints = {other.fingerprint for other in others}
    assert len(fingerprints) == len(others) and dataset.fingerprint not in fingerprints


def test_fingerprint_depends_on_every_image_and_label(rng):
    images = rng.integers(0, 256, (5000, 2, 2, 1), dtype=np.uint8)
    labels = rng.integers(0, 10, 5000)
    sizes = (4800, 100, 100)
    first = make(images, sizes=sizes, labels=labels).fingerprint
    for place in (0, 4799, 4999):
        for array in (images, labels):
            array[place] ^= 1
            assert make(images, sizes=sizes, labels=labels).fingerprint != first
            array[place] ^= 1
    assert make(images, sizes=sizes, labels=labels).fingerprint == first
    assert make(images, sizes=sizes).fingerprint != first


def test_fingerprint_of_a_memory_map_is_that_of_the_array(images, tmp_path):
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    assert make(mapped).fingerprint == make(images).fingerprint


def test_provenance_of_the_default_set_is_json():
    from zoo.config import DataConfig
    from zoo.data import load_dataset

    json.dumps(load_dataset(DataConfig()).provenance)
