"""Images that another program made, in the place of a model's samples."""

import numpy as np
import pytest
from PIL import Image

from tests.evaluation.linear_gaussian import dataset, subject
from zoo.config import EvaluationConfig
from zoo.errors import UsageError
from zoo.evaluation.runner import evaluate
from zoo.evaluation.samples.ms_ssim_diversity import MsSsimDiversity
from zoo.evaluation.subject.samples import GivenSamples

DATA = dataset()  # 16 x 16 x 1


@pytest.fixture(scope="module")
def drawn():
    """70 samples of a model, uint8."""
    images = subject().all("sample", seed=3, count=70)["images"]
    return np.rint(np.clip(images, 0, 1) * 255).astype(np.uint8)


def save_folder(folder, images):
    folder.mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image.squeeze()).save(folder / f"{number:03}.png")


def test_any_so_many_rows_have_each_image_once(drawn):
    given = GivenSamples("mine", drawn)
    for seed, first in ((0, 0), (0, 70), (5, 33)):
        rows = given.all("sample", seed=seed, first_row=first, count=70, batch_size=9)["images"]
        assert rows.dtype == np.float32
        levels = np.rint(rows * 255).astype(np.uint8)
        assert sorted(map(bytes, levels)) == sorted(map(bytes, drawn))
        again = given.all("sample", seed=seed, first_row=first, count=70)["images"]
        np.testing.assert_array_equal(rows, again)
    orders = [given.all("sample", seed=s, count=70)["images"].tobytes() for s in (0, 1)]
    assert orders[0] != orders[1]


def test_what_is_learnt_from_and_what_judges_have_no_image_in_common(drawn):
    learnt, fresh = GivenSamples("mine", drawn).apart(0)
    assert (learnt.available, fresh.available) == (56, 14)
    sides = [
        side.all("sample", seed=1, first_row=3, count=side.available) for side in (learnt, fresh)
    ]
    levels = np.rint(np.concatenate([side["images"] for side in sides]) * 255).astype(np.uint8)
    assert sorted(map(bytes, levels)) == sorted(map(bytes, drawn))
    one, other = GivenSamples("one", drawn[:1]).apart(0)
    assert one.available == other.available == 1


def test_files_and_folders_hold_the_same(drawn, tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE_DIR", str(tmp_path / "cache"))
    np.savez(tmp_path / "a.npz", images=drawn)
    np.savez_compressed(tmp_path / "floats.npz", images=drawn / np.float32(255), z=np.zeros(3))
    np.save(tmp_path / "a.npy", drawn)
    save_folder(tmp_path / "folder", drawn)
    read = {}
    for name in ("a.npz", "floats.npz", "a.npy", "folder"):
        given = GivenSamples.read(tmp_path / name, (16, 16, 1))
        assert given.name == str(tmp_path / name) and given.image_shape == (16, 16, 1)
        images = given.all("sample", seed=0, count=70)["images"]
        read[name] = sorted(map(bytes, np.rint(images * 255).astype(np.uint8)))
        assert read[name] == sorted(map(bytes, drawn))
    fingerprints = [GivenSamples("x", drawn[i:]).weights for i in (0, 0, 1)]
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]


def test_the_number_of_both_sides_is_that_of_the_fewer(drawn, tmp_path):
    """There are 80 test images and 70 samples; a second evaluation measures nothing again."""
    said = []
    given = GivenSamples("mine", drawn)
    file = tmp_path / "e.json"
    small = EvaluationConfig(train_steps=2)
    records = evaluate(given, DATA, ["all"], small, file, said.append)
    values = {r["metric"]: r for r in records}
    assert list(values)[:2] == ["ms_ssim_diversity_data", "ms_ssim_diversity"]
    assert "n = 70, of at least 1000" in " ".join(values["wasserstein_critic"]["warnings"])
    assert values["ms_ssim_diversity"]["n"] == 64 and values["ms_ssim_diversity"]["step"] is None
    assert values["ms_ssim_diversity"]["subject"] == "mine"
    assert any("elbo: left out: mine has no signature 'elbo'" in line for line in said)
    assert any("fid: left out: fid needs --feature_extractor" in line for line in said)
    evaluate(given, DATA, ["ms_ssim_diversity"], small, file, said.append)
    assert said[-1] == "ms_ssim_diversity: already measured"
    other = GivenSamples("mine", 255 - drawn)
    evaluate(other, DATA, ["ms_ssim_diversity"], small, file, said.append)
    assert said[-1] == "ms_ssim_diversity ..."


def test_too_few_samples_are_refused(drawn):
    with pytest.raises(UsageError, match="80 test images, 63 samples; expected at least 64"):
        MsSsimDiversity().check(GivenSamples("mine", drawn[:63]), DATA, EvaluationConfig())


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((3, 16, 16), np.uint8), "mine: images have the shape .3, 16, 16."),
        (np.zeros((0, 16, 16, 1), np.uint8), "mine: images have the shape .0, 16"),
        (np.zeros((), np.uint8), "mine: images have the shape ..: expected"),
        (np.zeros((3, 16, 16, 1), np.int64), "mine: images are int64: expected uint8"),
        (np.full((3, 16, 16, 1), 255.0), "mine: images lie in .255, 255.: expected finite floats"),
        (np.full((3, 16, 16, 1), np.nan), "mine: images lie in .nan, nan."),
    ],
)
def test_arrays_that_are_no_images(images, message):
    with pytest.raises(UsageError, match=message):
        GivenSamples("mine", images)


def test_values_are_checked_to_the_last(monkeypatch):
    monkeypatch.setattr("zoo.evaluation.subject.samples._BLOCK", 4)
    images = np.zeros((11, 4, 4, 1), np.float32)
    images[10, 3, 3] = 1.5
    with pytest.raises(UsageError, match="mine: images lie in .0, 1.5."):
        GivenSamples("mine", images)


def damaged(folder, name, content):
    (folder / name).write_bytes(content)
    return folder / name


def test_files_that_cannot_be_read(drawn, tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE_DIR", str(tmp_path / "cache"))
    np.savez(tmp_path / "other.npz", z=drawn)
    np.savez(tmp_path / "sound.npz", images=drawn)
    np.save(tmp_path / "objects.npy", np.array([{}, 3], object), allow_pickle=True)
    half = (tmp_path / "sound.npz").read_bytes()
    save_folder(tmp_path / "large", np.zeros((3, 20, 16), np.uint8))
    (tmp_path / "coloured").mkdir()
    Image.new("RGB", (16, 16), "red").save(tmp_path / "coloured" / "red.png")
    (tmp_path / "empty").mkdir()
    cases = {
        "none.npz": "does not exist: expected a folder",
        "other.npz": "has no array `images`: it has z",
        "objects.npy": "objects.npy cannot be read as an array: ",
        damaged(tmp_path, "half.npz", half[: len(half) // 2]).name: "cannot be read as an array: ",
        damaged(tmp_path, "empty.npy", b"").name: "cannot be read as an array: ",
        damaged(tmp_path, "a.txt", b"x").name: "a.txt is no such file: expected a folder",
        "large": "has 20x16 pixels, the data 16x16: expected equal",
        "coloured": "red.png has colours, the data are grey",
        "empty": "samples=.*empty has no images",
    }
    for name, message in cases.items():
        with pytest.raises(UsageError, match=message) as error:
            GivenSamples.read(tmp_path / name, (16, 16, 1))
        assert "\n" not in str(error.value)
