import numpy as np
import pytest
from PIL import Image

import zoo
from tests.flags import in_process
from zoo.config import DataConfig
from zoo.data import load_dataset
from zoo.data.fluent_emoji import base, split_of
from zoo.errors import UsageError

FIRST = 0x1F400  # of forty animals


@pytest.fixture
def package(tmp_path):
    """Forty pictures that are half transparent, each in two skin tones as well."""
    assets = tmp_path / "package" / "assets"
    assets.mkdir(parents=True)
    for number in range(40):
        for tone in ("", "-1f3fb", "-1f3ff-200d-2642-fe0f"):
            pixels = np.zeros((256, 256, 4), np.uint8)
            pixels[:128] = (5 * number, 0, 0, 255)
            Image.fromarray(pixels).save(assets / f"{FIRST + number:x}{tone}.webp", lossless=True)
    return tmp_path


def load(folder, **settings):
    return load_dataset(DataConfig(dataset="fluent_emoji", data_dir=str(folder), **settings))


@pytest.mark.parametrize("below", ["", "package", "package/assets"])
def test_pictures_on_white_with_all_tones_in_one_split(package, below):
    dataset = load(package / below)
    assert dataset.image_shape == (64, 64, 3)
    assert sum(map(len, dataset.splits.values())) == 120
    owners = {}
    for name, split in dataset.splits.items():
        assert len(split) % 3 == 0
        assert (split.images[:, -20:] == 255).all()
        for level in split.images[:, 0, 0, 0]:
            assert owners.setdefault(int(level), name) == name
    assert len(owners) == 40


@pytest.mark.parametrize(
    "names",
    [
        ("1f44b", "1f44b-1f3fb", "1f44b-1f3ff"),
        ("1f3c3-1f3fb-200d-2640-fe0f", "1f3c3-200d-2642-fe0f", "1f3c3"),
        ("1f468-1f3fb-200d-2695-fe0f", "1f469-200d-2695-fe0f", "1f9d1-1f3ff-200d-2695-fe0f"),
        ("0023-fe0f-20e3", "23-fe0f-20e3"),
    ],
)
def test_variants_have_one_base(names):
    assert len({base(f"{name}.webp") for name in names}) == 1


def test_the_split_of_a_base_is_kept_for_good():
    known = {"1f44b.webp": "train", "1f600.webp": "validation", "1f3fb.webp": "train"}
    assert {name: split_of(name) for name in known} == known
    assert base("1f3fb.webp") == "1f3fb" != base("1f3fc.webp")


def test_other_folders_are_refused(tmp_path, save_image):
    with pytest.raises(UsageError, match="fluent_emoji needs data_dir"):
        DataConfig(dataset="fluent_emoji")
    save_image(tmp_path / "photo.png", 30, 30)
    with pytest.raises(UsageError, match="named by code points.*fluent-emoji-3d, unpacked"):
        load(tmp_path)


def test_a_broken_picture(package, warnings_logged):
    (package / "package/assets" / f"{FIRST:x}.webp").write_bytes(b"RIFF")
    with pytest.raises(UsageError, match="cannot be decoded"):
        load(package)
    assert sum(map(len, load(package, skip_broken=True).splits.values())) == 119
    assert "120 files found, 119 images used, 1 left out" in warnings_logged[0]


def test_through_the_program_and_from_python(package, tmp_path):
    settings = {"model": "vae", "strategy": "one_device", "batch_size": 4, "width": 0.06}
    settings |= {"latent_size": 3, "steps": 1, "dataset": "fluent_emoji", "data_dir": str(package)}
    flags = [f"--{name}={value}" for name, value in settings.items()]
    assert in_process.call("train", f"--run_dir={tmp_path / 'run'}", *flags) == 0
    run = zoo.train(tmp_path / "run2", **settings)
    assert run.data_fingerprint == zoo.load_run(tmp_path / "run").data_fingerprint
