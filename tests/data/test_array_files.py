import os

import numpy as np
import pytest

from tests.flags import in_process
from zoo.config import DataConfig
from zoo.data import arrays, load_dataset
from zoo.errors import UsageError

TRAIN = [i for i in range(50) if i % 10 < 8]
VALIDATION, TEST = range(8, 50, 10), range(9, 50, 10)


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (50, 6, 5, 3), dtype=np.uint8)


@pytest.fixture
def labels(rng):
    return rng.integers(0, 4, 50, dtype=np.int32)


def load(place):
    return load_dataset(DataConfig(dataset="array", data_dir=str(place)))


def refused(place):
    with pytest.raises(UsageError) as raised:
        load(place)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def assert_by_number(dataset, images, labels=None):
    for split, numbers in {"train": TRAIN, "validation": VALIDATION, "test": TEST}.items():
        np.testing.assert_array_equal(dataset.split(split).images, images[numbers])
        if labels is None:
            assert dataset.split(split).labels is None
        else:
            np.testing.assert_array_equal(dataset.split(split).labels, labels[numbers])


@pytest.mark.parametrize("names", [("images", "labels"), ("x", "y"), ("X", "Y"), ("arr_0", "y")])
def test_an_npz_without_splits(tmp_path, images, labels, names):
    np.savez(tmp_path / "a.npz", **dict(zip(names, (images, labels[:, None]), strict=True)))
    assert_by_number(load(tmp_path / "a.npz"), images, labels)


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [
        ("x_train", "x_valid", "x_test"),
        ("train_images", "val_images", "test_images"),
        ("images_train", "images_validation", "images_test"),
    ],
)
def test_an_npz_with_all_splits(tmp_path, images, train, validation, test):
    given = {train: images[:30], validation: images[30:35], test: images[35:]}
    np.savez(tmp_path / "a.npz", **given)
    dataset = load(tmp_path / "a.npz")
    for split, content in zip(("train", "validation", "test"), given.values(), strict=True):
        np.testing.assert_array_equal(dataset.split(split).images, content)
    assert dataset.provenance["splits"] == "of the source"


def test_a_missing_split_comes_from_the_training_images(tmp_path, images, labels):
    given = {"x_train": images[:30], "y_train": labels[:30]}
    np.savez(tmp_path / "a.npz", **given, x_test=images[30:], y_test=labels[30:])
    dataset = load(tmp_path / "a.npz")
    np.testing.assert_array_equal(dataset.split("validation").images, images[[8, 18, 28]])
    np.testing.assert_array_equal(dataset.split("test").images, images[30:])
    np.testing.assert_array_equal(dataset.split("test").labels, labels[30:])
    assert len(dataset.split("train")) == 27


def test_a_file_with_labels_beside_it(tmp_path, images, labels):
    np.save(tmp_path / "a.npy", images)
    assert_by_number(load(tmp_path / "a.npy"), images)
    np.save(tmp_path / "a.labels.npy", labels)
    assert_by_number(load(tmp_path / "a.npy"), images, labels)


@pytest.mark.parametrize("cuts", [(), (7, 8, 31)])
def test_shards_are_one_array(tmp_path, monkeypatch, images, labels, cuts, warnings_logged):
    monkeypatch.setattr(arrays, "_BLOCK_BYTES", 300)  # three images
    folder = tmp_path / "shards"
    folder.mkdir()
    parts = zip(np.split(images, cuts), np.split(labels, cuts), strict=True)
    for number, (some, classes) in enumerate(parts):
        np.save(folder / f"part-{number:02d}.npy", some)
        np.save(folder / f"part-{number:02d}.labels.npy", classes)
    assert_by_number(load(folder), images, labels)
    assert not warnings_logged
    (folder / "readme.txt").touch()
    load(folder)
    assert len(warnings_logged) == 1 and "readme.txt" in warnings_logged[0]


def test_whole_splits_are_used_where_they_lie(tmp_path, images, cache_folder):
    for split, part in zip(
        ("train", "validation", "test"), np.split(images, (30, 40)), strict=True
    ):
        np.save(tmp_path / f"{split}.npy", part)
    dataset = load(tmp_path)
    np.testing.assert_array_equal(dataset.split("validation").images, images[30:40])
    assert isinstance(dataset.split("train").images, np.memmap) and not cache_folder.exists()


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, ">f4"])
def test_floats_become_the_nearest_level(tmp_path, images, kind):
    floats = images.astype(kind) / np.array(255, kind)
    np.save(tmp_path / "a.npy", floats)
    assert_by_number(load(tmp_path / "a.npy"), images)


@pytest.mark.parametrize("shape", [(16, 24), (17, 9, 1), (8, 31, 2), (40, 16, 4)])
def test_any_size_and_one_to_four_channels(tmp_path, rng, shape):
    images = rng.integers(0, 256, (20, *shape), dtype=np.uint8)
    np.save(tmp_path / "a.npy", images)
    dataset = load(tmp_path / "a.npy")
    assert dataset.image_shape == (*shape, 1)[:3]


def with_nan(images):
    floats = images / 255
    floats[41, 2, 2, 0] = np.nan
    return floats


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda x: x.astype(np.float32), r"images lie in \[0, 255\]: expected finite floats in"),
        (with_nan, "expected finite floats in"),
        (lambda x: x.astype(np.int64), "images are int64: expected uint8"),
        (lambda x: x.reshape(50, -1), "shape .50, 90.: expected .N, H, W, C."),
        (lambda x: np.moveaxis(x, -1, 1), r"shape .50, 3, 6, 5.*np.moveaxis"),
        (lambda x: x[:9], "has 9 training images: .* at least 10"),
        (lambda x: x[:0], "cannot be read|without an image"),
        (lambda x: np.array([{}, None]), "cannot be read"),
    ],
)
def test_no_images_of_ours_are_refused(tmp_path, images, change, said):
    np.save(tmp_path / "a.npy", change(images))
    assert pytest.raises(UsageError, load, tmp_path / "a.npy").match(said)
    np.savez(tmp_path / "a.npz", images=change(images))
    assert "a.npz" in refused(tmp_path / "a.npz")


def test_labels_that_do_not_fit_are_refused(tmp_path, images, labels):
    for wrong, said in (
        (labels[:-1], "labels have the shape [49]: expected [50]"),
        (labels / 2, "labels are float64: expected whole numbers"),
        (np.eye(4)[labels].astype(int), "labels have the shape [50, 4]"),
    ):
        np.savez(tmp_path / "a.npz", images=images, labels=wrong)
        assert said in refused(tmp_path / "a.npz")


def test_names_that_tell_nothing_are_refused(tmp_path, images):
    np.savez(tmp_path / "a.npz", pictures=images)
    assert "has no images: expected the key images" in refused(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", images=images, x=images)
    assert "images and x are the same: keep one" in refused(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", images=images, x_test=images)
    assert "images without a split" in refused(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", x_test=images)
    assert "has no training images, only test" in refused(tmp_path / "a.npz")
    np.save(tmp_path / "train.npy", images)
    np.save(tmp_path / "more.npy", images)
    assert "is of no split, and others are" in refused(tmp_path)
    os.remove(tmp_path / "train.npy")
    np.save(tmp_path / "other.npy", images[:, :3])
    assert "expected one shape" in refused(tmp_path)


def test_places_that_are_none_are_refused(tmp_path):
    assert "does not exist" in refused(tmp_path / "missing.npy")
    assert "has no .npy files" in refused(tmp_path)
    (tmp_path / "a.txt").touch()
    assert "is no array" in refused(tmp_path / "a.txt")
    for ending in ("npy", "npz"):
        (tmp_path / f"a.{ending}").write_bytes(b"PK\x03\x04 damaged")
        assert "cannot be read as arrays" in refused(tmp_path / f"a.{ending}")
        (tmp_path / f"a.{ending}").unlink()
        os.mkfifo(tmp_path / f"a.{ending}")
        assert "is not a regular file" in refused(tmp_path / f"a.{ending}")


def test_through_the_program(tmp_path, rng, capsys):
    np.savez(tmp_path / "a.npz", images=rng.random((30, 28, 28, 3)), labels=np.arange(30))
    data = ["--dataset=array", f"--data_dir={tmp_path / 'a.npz'}"]
    tiny = ["--strategy=one_device", "--batch_size=8", "--width=0.06", "--latent_size=3"]
    train = ["train", f"--run_dir={tmp_path / 'run'}", *data, *tiny, "--model=vae"]
    assert in_process.call(*train, "--steps=2") == 0
    assert in_process.call(*train, "--steps=3") == 0
    evaluate = ["evaluate", f"--run_dir={tmp_path / 'run'}", "--metrics=elbo"]
    assert in_process.call(*evaluate) == 0
    np.savez(tmp_path / "a.npz", images=rng.random((30, 28, 28, 3)) * 255)
    assert in_process.call(*train, "--steps=4") == 2
    assert "expected finite floats in [0, 1], or uint8" in capsys.readouterr().err
