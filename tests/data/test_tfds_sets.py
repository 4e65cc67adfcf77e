import os
import urllib.error
import urllib.request

import numpy as np
import pytest
import tensorflow_datasets

from zoo.config import DataConfig
from zoo.data import load_dataset, tfds_sets
from zoo.data.celeb_a import RECIPE
from zoo.data.color_mnist import color_digits
from zoo.errors import UsageError

SOURCES = {"color_mnist": "mnist", "cifar10": "cifar10", "celeb_a": "celeb_a"}


@pytest.fixture
def no_network(monkeypatch):
    def fail(url, timeout):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", fail)


@pytest.fixture
def prepared_cifar(tmp_path, rng, monkeypatch):
    """A real prepared copy, built by TensorFlow Datasets from files in CIFAR-10's format."""
    raw = tmp_path / "raw" / "cifar-10-batches-bin"
    raw.mkdir(parents=True)
    classes = "airplane automobile bird cat deer dog frog horse ship truck"
    (raw / "batches.meta.txt").write_text(classes.replace(" ", "\n"))
    records = {}
    for name in [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]:
        rows = rng.integers(0, 256, (8, 3073), dtype=np.uint8)
        rows[:, 0] %= 10
        rows.tofile(raw / f"{name}.bin")
        for row in rows:
            image = row[1:].reshape(3, 32, 32).transpose(1, 2, 0)
            records[image.tobytes()] = (int(row[0]), name == "test_batch")
    monkeypatch.setattr(
        tensorflow_datasets.download.DownloadManager,
        "download_and_extract",
        lambda self, url: str(tmp_path / "raw"),
    )
    data_dir = tmp_path / "prepared"
    tensorflow_datasets.builder("cifar10", data_dir=data_dir).download_and_prepare()
    return data_dir, records


def load(dataset, data_dir=None):
    return load_dataset(DataConfig(dataset=dataset, data_dir=data_dir and str(data_dir)))


def mocked(dataset, num_examples):
    with tensorflow_datasets.testing.mock_data(num_examples=num_examples):
        return load(dataset)


@pytest.mark.parametrize(
    ("dataset", "shape", "sizes"),
    [
        ("color_mnist", (28, 28, 3), (55, 5, 60)),
        ("cifar10", (32, 32, 3), (54, 6, 60)),
        ("celeb_a", (64, 64, 3), (60, 60, 60)),
    ],
)
def test_mocked_sets(dataset, shape, sizes, cache_folder):
    loaded = mocked(dataset, 60)
    assert loaded.image_shape == shape
    assert tuple(len(split) for split in loaded.splits.values()) == sizes
    assert loaded.provenance["name"] == SOURCES[dataset]
    for split in loaded.splits.values():
        assert (split.labels is None) == (dataset == "celeb_a")
    assert not cache_folder.exists()  # nothing on the disk to tell it from other data


def test_color_mnist_colours_by_the_number_of_the_image():
    loaded = mocked("color_mnist", 20)
    with tensorflow_datasets.testing.mock_data(num_examples=20):
        digits = np.stack(
            [
                example["image"][..., 0]
                for example in tensorflow_datasets.as_numpy(
                    tensorflow_datasets.load("mnist", split="train")
                )
            ]
        )
    train = np.concatenate([loaded.split(name).images for name in ("train", "validation")])
    np.testing.assert_array_equal(train, color_digits(digits, np.arange(20)))
    # The mock gives the same digits as test images: their numbers begin after the 60,000.
    test = loaded.split("test").images
    np.testing.assert_array_equal(test, color_digits(digits, 60_000 + np.arange(20)))


def test_celeb_a_says_how_it_was_cropped():
    assert mocked("celeb_a", 2).provenance["crop"] == RECIPE["crop"] == "central 140x140"


@pytest.mark.parametrize(
    ("train", "official", "expected"),
    [
        (60_000, 60_000, 5000),
        (50_000, 50_000, 5000),
        (500, 50_000, 50),
        (3, 60_000, 1),
    ],
)
def test_validation_is_the_end_of_train(train, official, expected):
    from zoo.data.cache import Decoded

    positions = np.arange(train + 7)
    images = np.zeros((train + 7, 1, 1, 1), np.uint8)
    decoded = Decoded(images, positions, {"counts": {"train": train, "test": 7}})
    splits = tfds_sets.hold_out_validation(decoded, official)
    np.testing.assert_array_equal(splits["train"].labels, positions[: train - expected])
    np.testing.assert_array_equal(splits["validation"].labels, positions[train - expected : train])
    np.testing.assert_array_equal(splits["test"].labels, positions[train:])


def test_a_prepared_copy_is_read_whole_and_cached(prepared_cifar, no_network, monkeypatch):
    data_dir, records = prepared_cifar
    dataset = load("cifar10", data_dir)
    assert {k: len(v) for k, v in dataset.splits.items()} == {
        "train": 36,
        "validation": 4,
        "test": 8,
    }
    seen = {
        image.tobytes(): (int(label), name == "test")
        for name, split in dataset.splits.items()
        for image, label in zip(split.images, split.labels, strict=True)
    }
    assert seen == records
    monkeypatch.setattr(tfds_sets, "_batches", None)
    assert load("cifar10", data_dir).fingerprint == dataset.fingerprint


@pytest.mark.parametrize(
    ("pattern", "kept"),
    [("*train*", 0.5), ("*train*", None), ("dataset_info.json", 0.5), ("dataset_info.json", None)],
)
def test_a_damaged_prepared_copy(prepared_cifar, pattern, kept):
    data_dir, _ = prepared_cifar
    (path,) = (data_dir / "cifar10").glob(f"*/{pattern}")
    content = path.read_bytes()
    path.unlink()
    if kept:
        path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(UsageError, match="prepared copy of cifar10 in .* cannot be read") as raised:
        load("cifar10", data_dir)
    assert "\n" not in str(raised.value) and str(data_dir) in str(raised.value)


@pytest.mark.parametrize(
    ("dataset", "remedy"),
    [
        ("color_mnist", "--dataset=color_mnist_mini"),
        ("cifar10", "--data_dir=<a prepared copy>"),
        ("celeb_a", "img_align_celeba.zip"),
    ],
)
def test_without_data_or_network(dataset, remedy, tmp_path, no_network):
    with pytest.raises(UsageError) as raised:
        load(dataset, tmp_path / "data")
    message = str(raised.value)
    assert "\n" not in message
    for part in (SOURCES[dataset], str(tmp_path / "data"), "network access", remedy):
        assert part in message
    assert not os.listdir(tmp_path)


def test_a_failed_download_is_told_in_one_line(tmp_path, monkeypatch):
    def fail(self):
        raise OSError("quota\nexceeded")

    monkeypatch.setattr(tfds_sets, "_reachable", lambda url: True)
    monkeypatch.setattr(tensorflow_datasets.core.DatasetBuilder, "download_and_prepare", fail)
    with pytest.raises(UsageError, match=r"download failed \(quota exceeded\): run once"):
        load("cifar10", tmp_path)


def test_a_file_for_a_data_dir(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        load("cifar10", tmp_path / "file")


@pytest.mark.parametrize(
    ("answer", "reachable"),
    [
        (urllib.error.HTTPError("u", 403, "no", {}, None), True),
        (urllib.error.URLError("name not known"), False),
        (TimeoutError(), False),
    ],
)
def test_any_answer_means_a_network(answer, reachable, monkeypatch):
    def urlopen(url, timeout):
        assert timeout <= 10
        raise answer

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    assert tfds_sets._reachable("https://example.org") is reachable


@pytest.mark.timeout(60)
@pytest.mark.parametrize("pattern", ["dataset_info.json", "*test.tfrecord*"])
def test_a_fifo_in_a_prepared_copy_is_not_waited_for(prepared_cifar, pattern):
    data_dir, _ = prepared_cifar
    (path,) = (data_dir / "cifar10").glob(f"*/{pattern}")
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(UsageError, match="cifar10 .* cannot be read .*not a regular file"):
        load("cifar10", data_dir)


def test_a_fifo_for_a_data_dir(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(UsageError, match="fifo is a file: expected a folder"):
        load("cifar10", tmp_path / "fifo")


def test_no_home_and_no_data_dir(monkeypatch, no_network):
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as for a user unknown to it
    with pytest.raises(UsageError, match="cifar10 is kept in the home folder, .*--data_dir"):
        load("cifar10")
