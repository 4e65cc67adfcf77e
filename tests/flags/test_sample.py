"""What zoo-sample makes beside grids of samples: folders, reconstructions, walks, traversals."""

import numpy as np
import pytest
from absl import flags as absl_flags
from PIL import Image

from tests.evaluation.linear_gaussian import dataset, subject
from tests.flags.in_process import call, contents
from zoo.errors import UsageError
from zoo.evaluation.gaussians import gaussian_kl, kl_of_dimensions
from zoo.evaluation.subject.image_files import read_images
from zoo.evaluation.subject.walks import STEPS, point_codes, slerp, traversal
from zoo.flags import sample
from zoo.run import Run


@pytest.fixture
def photos(tmp_path, save_images):
    """A folder of five images."""
    save_images(tmp_path / "photos", 5)
    return tmp_path / "photos"


def png(file):
    with Image.open(file) as image:
        return np.asarray(image)


def of(trained, source):
    return f"--{source}={trained / ('run' if source == 'run_dir' else 'served/tiny/1')}"


@pytest.mark.parametrize("output", ["drawn", "deep/drawn.v2/"])
def test_a_folder_of_samples(trained, tmp_path, monkeypatch, capsys, output):
    monkeypatch.chdir(tmp_path)
    arguments = (of(trained, "run_dir"), "--num_samples=11")
    assert call("sample", *arguments, f"--output={output}") == 0, capsys.readouterr().err
    assert call("sample", *arguments, "--output=drawn.npz") == 0
    names = [f"{i:02}.png" for i in range(11)]
    assert sorted(file.name for file in (tmp_path / output).iterdir()) == names
    for name, image in zip(names, np.load("drawn.npz")["images"], strict=True):
        np.testing.assert_array_equal(png(tmp_path / output / name), image)
    before = contents(tmp_path)
    assert call("sample", *arguments, f"--output={output}") == 2
    assert "exists already: expected a new folder" in capsys.readouterr().err
    assert contents(tmp_path) == before


@pytest.mark.parametrize("source", ["run_dir", "saved_model"])
def test_reconstructions_below_their_originals(trained, tmp_path, photos, source):
    asked = (of(trained, source), f"--reconstruct={photos}", "--num_samples=4")
    for output in ("r.png", "r.npz", "r"):
        assert call("sample", *asked, f"--output={tmp_path / output}") == 0
    arrays = np.load(tmp_path / "r.npz")
    assert arrays["originals"].shape == arrays["images"].shape == (4, 28, 28, 3)
    model, files = Run.open(trained / "run").model, [photos / f"{i}.png" for i in range(4)]
    originals = read_images(files, (28, 28, 3))
    np.testing.assert_array_equal(arrays["originals"], originals)
    codes = model.encode(originals)["z"]
    np.testing.assert_allclose(arrays["z"], codes, rtol=1e-4, atol=1e-5)
    decoded = 255 * model.decode(codes)["images"].numpy()
    assert np.abs(decoded - arrays["images"]).max() < 1
    grid = png(tmp_path / "r.png")
    assert grid.shape == (28 * 2 + 2, 28 * 4 + 6, 3)
    np.testing.assert_array_equal(grid[:28, 30:58], originals[1])
    np.testing.assert_array_equal(grid[30:, 30:58], arrays["images"][1])
    np.testing.assert_array_equal(png(tmp_path / "r" / "2.png"), arrays["images"][2])


def test_broken_images_are_left_out_of_reconstructions_if_so_asked(
    trained, tmp_path, photos, capsys
):
    (photos / "1.png").write_text("no image")
    asked = [of(trained, "run_dir"), f"--reconstruct={photos}", f"--output={tmp_path / 'r.npz'}"]
    assert call("sample", *asked, "--num_samples=3") == 2
    assert "1.png cannot be decoded" in capsys.readouterr().err
    assert call("sample", *asked, "--num_samples=3", "--skip_broken") == 0
    expected = read_images([photos / f"{i}.png" for i in (0, 2, 3)], (28, 28, 3))
    np.testing.assert_array_equal(np.load(tmp_path / "r.npz")["originals"], expected)


@pytest.mark.parametrize("source", ["run_dir", "saved_model"])
def test_a_walk_between_two_images(trained, tmp_path, photos, source):
    asked = (of(trained, source), f"--interpolate={photos}/0.png,{photos}/3.png")
    for output in ("w.png", "w.npz"):
        assert call("sample", *asked, f"--output={tmp_path / output}") == 0
    arrays = np.load(tmp_path / "w.npz")
    ends = read_images([photos / "0.png", photos / "3.png"], (28, 28, 3))
    z = Run.open(trained / "run").model.encode(ends)["z"]
    np.testing.assert_allclose(arrays["z"][[0, -1]], z, rtol=1e-4, atol=1e-5)
    assert arrays["images"].shape == (9, 28, 28, 3)
    assert png(tmp_path / "w.png").shape == (28, 28 * 9 + 16, 3)


@pytest.mark.parametrize(
    ("source", "data"), [("run_dir", ()), ("saved_model", ("--dataset=color_mnist_mini",))]
)
def test_what_dimensions_do(trained, tmp_path, capsys, source, data):
    asked = (of(trained, source), "--traverse", "--num_samples=2", *data)
    for output in ("t.png", "t.npz"):
        assert call("sample", *asked, f"--output={tmp_path / output}") == 0, capsys.readouterr()
    arrays, said = np.load(tmp_path / "t.npz"), capsys.readouterr().out
    assert arrays["images"].shape == (18, 28, 28, 3) and arrays["kl"].shape == (2,)
    assert f"dimension {arrays['dimensions'][0]}: mean KL " in said
    assert png(tmp_path / "t.png").shape == (28 * 2 + 2, 28 * 9 + 16, 3)
    mean, stddev = (
        Run.open(trained / "run")
        .model.encode(Run.open(trained / "run").dataset.split("validation").images)[name]
        .numpy()
        for name in ("mean", "stddev")
    )
    kl = kl_of_dimensions(mean, stddev)
    np.testing.assert_array_equal(arrays["dimensions"], np.argsort(-kl)[:2])


def test_reconstructions_of_each_class_in_turn_with_its_name(trained, tmp_path, save_images):
    for name, count in (("cats", 5), ("dogs", 2)):
        save_images(tmp_path / "photos" / name, count)
    asked = (of(trained, "run_dir"), f"--reconstruct={tmp_path / 'photos'}", "--class_names")
    for output in ("r.png", "r.npz"):
        assert call("sample", *asked, "--num_samples=5", f"--output={tmp_path / output}") == 0
    arrays = np.load(tmp_path / "r.npz", allow_pickle=False)
    assert arrays["class_names"].tolist() == ["cats", "dogs", "cats", "dogs", "cats"]
    expected = read_images([tmp_path / "photos/dogs/1.png"], (28, 28, 3))[0]
    np.testing.assert_array_equal(arrays["originals"][3], expected)
    picture = png(tmp_path / "r.png")
    width = 84  # three times as wide, for a word
    assert picture.shape == (2 * width + 16, 5 * (width + 2) - 2, 3)
    np.testing.assert_array_equal(picture[1:width:3, 1:width:3], arrays["originals"][0])
    words = [picture[2 * width :, i * (width + 2) :][:, :width] for i in range(5)]
    assert words[0].min() == 0 and (words[0] == words[2]).all() and (words[0] != words[1]).any()


MISTAKES = [
    ("--reconstruct=photos --class_names --output=a.png", "class_names are those of sub-folders"),
    ("--reconstruct=photos --class_names --output=a", "applies to a .png or .npz of --reconstruct"),
    ("--traverse --class_names --output=a.png", "class_names applies to a .png or .npz of --recon"),
    ("--traverse --reconstruct=photos --output=a.png", "give one of --reconstruct or --traverse"),
    ("--interpolate=a.png --output=a.png", "expected two image files, A,B"),
    ("--interpolate=none.png,photos/1.png --output=a.png", "none.png is no file"),
    ("--interpolate=photos/bad.txt,photos/1.png --output=a.png", "bad.txt cannot be decoded"),
    ("--reconstruct=none --output=a.png", "reconstruct=none does not exist"),
    ("--reconstruct= --output=a.png", "reconstruct='' is not accepted"),
    ("--skip_broken --output=a.png", "_broken applies to --traverse"),
    ("--copies=2 --output=a.png", "copies applies to --traverse only"),
    ("--output=a.jpg", "expected a .png or .npz file, or a folder"),
]


@pytest.mark.parametrize(("line", "message"), MISTAKES, ids=[m[0] for m in MISTAKES])
def test_a_mistake_is_one_line(trained, tmp_path, photos, monkeypatch, capsys, line, message):
    monkeypatch.chdir(tmp_path)
    (photos / "bad.txt").write_text("no image")
    before = contents(tmp_path)
    assert call("sample", of(trained, "run_dir"), *line.split()) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1 and "with --skip_broken" not in error, error
    assert contents(tmp_path) == before


def test_a_traversal_of_a_saved_model_needs_data(trained, tmp_path, capsys):
    output = f"--output={tmp_path / 'a.png'}"
    assert call("sample", of(trained, "saved_model"), "--traverse", output) == 2
    assert "needs --dataset" in capsys.readouterr().err


def test_home_in_both_paths_of_an_interpolation(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    values = absl_flags.FlagValues()
    sample.define(values)
    values(["zoo-sample", "--interpolate=~/a.png,~/b.png"])
    assert values.interpolate == [f"{tmp_path}/a.png", f"{tmp_path}/b.png"]


# ---- The same from Python, on a model whose every quantity is known ------------------------------


def test_an_arc_keeps_to_the_shell():
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((2, 40))
    walk = slerp(first, second, 7)
    assert walk.shape == (7, 40) and walk.dtype == np.float32
    np.testing.assert_allclose(walk[[0, -1]], [first, second], atol=1e-6)
    unit = slerp(first / np.linalg.norm(first), second / np.linalg.norm(second), 7)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, rtol=1e-5)
    angles = np.arccos(np.clip((unit[1:] * unit[:-1]).sum(1), -1, 1))
    np.testing.assert_allclose(angles, angles.mean(), rtol=1e-3)
    for other in (first, -first, 3 * first, np.zeros(40)):  # no arc: straight
        line = np.linspace(0, 1, 7)[:, None] * (other - first) + first
        np.testing.assert_allclose(slerp(first, other, 7), line, atol=1e-5)


def test_the_dimensions_of_largest_kl_come_first():
    model, data = subject(), dataset()
    codes = model.all("encode", images=data.split("validation").images)
    kl = kl_of_dimensions(codes["mean"], codes["stddev"])
    assert kl.sum() == pytest.approx(gaussian_kl(codes["mean"], codes["stddev"]).mean(), rel=1e-9)
    found = traversal(model, data, rows=5, seed=3)
    np.testing.assert_array_equal(found.dimensions, np.argsort(-kl))
    np.testing.assert_allclose(found.kl, np.sort(kl)[::-1])
    rows = found.z.reshape(2, STEPS, 2)
    around = point_codes(model, data.split("validation").images[3:4])[0]
    for row, dimension in zip(rows, found.dimensions, strict=True):
        np.testing.assert_allclose(row[:, dimension], np.linspace(-3, 3, STEPS), atol=1e-6)
        np.testing.assert_allclose(row[:, 1 - dimension], around[1 - dimension], rtol=1e-6)
    with pytest.raises(UsageError, match="encode gives z; expected mean and stddev"):
        traversal(subject(closed_form=False), data, rows=2)


def test_image_files_of_any_aspect(tmp_path):
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40] = 255  # the central square
    Image.fromarray(wide).save(tmp_path / "wide.png")
    assert read_images([tmp_path / "wide.png"], (16, 16, 3)).min() == 255
    assert read_images([tmp_path / "wide.png"], (16, 16, 1)).shape == (1, 16, 16, 1)
    assert read_images([tmp_path / "wide.png"], (10, 30, 3)).shape == (1, 10, 30, 3)
    opaque = read_images([tmp_path / "wide.png"], (16, 16, 4))
    assert opaque.shape == (1, 16, 16, 4) and opaque[..., 3].min() == 255
