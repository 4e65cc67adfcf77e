import gzip
import struct

import numpy as np
import pytest
import tensorflow_datasets

import zoo
from tests.flags import in_process
from zoo.config import DataConfig
from zoo.data import load_dataset
from zoo.errors import UsageError

PLAIN = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte") + (
    *("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
)


def idx(array, kind=8):
    return (
        struct.pack(f">BBBB{array.ndim}I", 0, 0, kind, array.ndim, *array.shape) + array.tobytes()
    )


@pytest.fixture
def parts(rng):
    """Training images and labels, test images and labels, as Fashion-MNIST has them."""
    return [
        content
        for count in (24, 8)
        for content in (
            rng.integers(0, 256, (count, 28, 28), dtype=np.uint8),
            rng.integers(0, 10, count, dtype=np.uint8),
        )
    ]


def write(folder, parts, names=PLAIN, pack=bytes):
    folder.mkdir(exist_ok=True)
    for name, part in zip(names, parts, strict=True):
        (folder / name).write_bytes(pack(idx(part)))
    return folder


def load(folder, dataset="idx"):
    return load_dataset(DataConfig(dataset=dataset, data_dir=str(folder)))


def refused(folder, dataset="idx"):
    with pytest.raises(UsageError) as raised:
        load(folder, dataset)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("dataset", ["idx", "fashion_mnist"])
@pytest.mark.parametrize(
    ("names", "pack"),
    [
        (PLAIN, bytes),
        ([f"{name}.gz" for name in PLAIN], gzip.compress),
        ([name.replace("-idx", ".idx") for name in PLAIN], bytes),
        ([f"emnist-digits-{name.replace('t10k', 'test')}" for name in PLAIN], bytes),
    ],
)
def test_four_files(tmp_path, parts, names, pack, dataset):
    loaded = load(write(tmp_path / "idx", parts, names, pack), dataset)
    for split, images, labels in (
        ("train", parts[0][:22], parts[1][:22]),
        ("validation", parts[0][22:], parts[1][22:]),
        ("test", parts[2], parts[3]),
    ):
        np.testing.assert_array_equal(loaded.split(split).images[..., 0], images)
        np.testing.assert_array_equal(loaded.labels(split), labels)


def test_colour_and_other_sizes(tmp_path, parts, rng):
    parts[0] = rng.integers(0, 256, (24, 5, 9, 3), dtype=np.uint8)
    parts[2] = rng.integers(0, 256, (8, 5, 9, 3), dtype=np.uint8)
    folder = write(tmp_path / "idx", parts)
    assert load(folder).image_shape == (5, 9, 3)
    assert "use --dataset=idx" in refused(folder, "fashion_mnist")


def test_files_that_are_not_what_they_should_be(tmp_path, parts):
    folder = write(tmp_path / "idx", parts)
    whole = (folder / PLAIN[0]).read_bytes()
    for content, said in (
        (whole[:-1], "cut short or too long"),
        (whole + b"0", "cut short or too long"),
        (b"\x89PNG", "is no idx file"),
        (b"", "is no idx file"),
        (idx(parts[0], 13), "is no idx file of unsigned bytes"),
        (idx(parts[1]), "expected [N, H, W] of images"),
        (idx(parts[0][:, :9]), "expected one shape"),
        (idx(parts[0][:20]), "expected [20] of labels"),
    ):
        (folder / PLAIN[0]).write_bytes(content)
        assert said in refused(folder)
    (folder / PLAIN[0]).rename(folder / f"{PLAIN[0]}.gz")
    assert "cannot be read" in refused(folder)
    (folder / f"{PLAIN[0]}.gz").unlink()
    assert "no idx file of train images: expected four files" in refused(folder)
    (folder / PLAIN[0]).write_bytes(whole)
    (folder / f"{PLAIN[0]}.gz").write_bytes(gzip.compress(whole))
    assert "expected one" in refused(folder)
    assert "is no folder" in refused(tmp_path / "missing")


def test_fashion_mnist_of_tensorflow_datasets():
    with tensorflow_datasets.testing.mock_data(num_examples=60):
        loaded = load_dataset(DataConfig(dataset="fashion_mnist"))
    assert loaded.image_shape == (28, 28, 1) and loaded.labels("test").max() < 10
    assert [len(split) for split in loaded.splits.values()] == [55, 5, 60]


def test_through_the_program_and_from_python(tmp_path, parts):
    folder = write(tmp_path / "idx", parts)
    settings = {"model": "vae", "strategy": "one_device", "batch_size": 8, "width": 0.06}
    settings |= {"latent_size": 3, "steps": 2, "dataset": "fashion_mnist", "data_dir": str(folder)}
    flags = [f"--{name}={value}" for name, value in settings.items()]
    assert in_process.call("train", f"--run_dir={tmp_path / 'run'}", *flags) == 0
    run = zoo.train(tmp_path / "run2", **settings)
    assert run.data_fingerprint == zoo.load_run(tmp_path / "run").data_fingerprint
