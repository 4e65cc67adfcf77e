"""Codes of images, as a file."""

import os

import numpy as np
import pytest

from tests.flags.in_process import call, contents
from zoo.config import DataConfig
from zoo.data import load_dataset
from zoo.evaluation.subject.codes import write_codes
from zoo.evaluation.subject.subject import Subject
from zoo.run import Run


def test_the_data_of_a_run(trained, tmp_path, capsys):
    run, output = Run.open(trained / "run"), tmp_path / "deep" / "codes.npz"
    assert call("encode", f"--run_dir={run.path}", f"--output={output}") == 0
    assert f"codes of 5000 images of color_mnist_mini to {output}" in capsys.readouterr().out
    codes = np.load(output)
    assert set(codes) == {
        *("z", "mean", "stddev", "split", "labels"),
        *("subject", "weights", "data_fingerprint"),
    }
    assert list(np.unique(codes["split"])) == ["test", "train", "validation"]
    assert str(codes["weights"]) == run.model.fingerprint and str(codes["subject"]) == str(run.path)
    test = codes["split"] == "test"
    expected = run.model.encode(run.dataset.split("test").images)
    np.testing.assert_array_equal(codes["labels"][test], run.dataset.labels("test"))
    for name, values in expected.items():
        np.testing.assert_allclose(codes[name][test], values, rtol=1e-5, atol=1e-6)
    assert sorted(os.listdir(output.parent)) == ["codes.npz"]


def test_a_folder_by_a_saved_model(trained, tmp_path, monkeypatch, save_images, capsys):
    """In the model's size where none is given; each row has the name of its file."""
    monkeypatch.setenv("ZOO_CACHE_DIR", str(tmp_path / "cache"))
    save_images(tmp_path / "photos" / "deep", 12)
    (tmp_path / "photos" / "deep" / "5.png").write_text("no image")
    arguments = (f"--saved_model={trained / 'served' / 'tiny' / '1'}", "--skip_broken")
    arguments += ("--dataset=folder", f"--data_dir={tmp_path / 'photos'}")
    for _ in range(2):  # the second time from the cache
        output = f"--output={tmp_path / 'codes.npz'}"
        assert call("encode", *arguments, output) == 0, capsys.readouterr().err
        codes = np.load(tmp_path / "codes.npz")
        assert set(codes["names"]) == {f"deep/{i}.png" for i in range(12) if i != 5}
        assert codes["z"].shape == (11, 3) and "labels" not in codes
    config = DataConfig(
        dataset="folder", data_dir=tmp_path / "photos", image_size=28, skip_broken=True
    )
    test = load_dataset(config).split("test")
    model = Run.open(trained / "run").model
    (row,) = np.flatnonzero(codes["names"] == test.names[0])
    assert codes["split"][row] == "test"
    expected = model.encode(test.images[:1])["mean"][0]
    np.testing.assert_allclose(codes["mean"][row], expected, rtol=1e-5, atol=1e-6)


def test_from_python_and_one_split(trained, tmp_path):
    run = Run.open(trained / "run")
    count = write_codes(Subject.of_run(run), run.dataset, ["validation"], tmp_path / "v.npz")
    assert count == 500 == len(np.load(tmp_path / "v.npz")["z"])


def test_names_that_are_no_text(tmp_path, monkeypatch, save_images):
    monkeypatch.setenv("ZOO_CACHE_DIR", str(tmp_path / "cache"))
    save_images(tmp_path / "photos", 10)
    os.rename(tmp_path / "photos" / "3.png", os.fsencode(tmp_path / "photos") + b"/\xff.png")
    config = DataConfig(dataset="folder", data_dir=tmp_path / "photos", image_size=28)
    names = [n for _ in range(2) for s in load_dataset(config).splits.values() for n in s.names]
    assert names.count("\\xff.png") == 2 and len(names) == 20
    assert list((tmp_path / "cache").glob("folder-*.json"))


MISTAKES = [
    ("--output=a.npz", "give one of --run_dir or --pretrained or --saved_model"),
    ("--run_dir={run}", "give --output"),
    ("--run_dir={run} --output=a.json", "expected an .npz file"),
    ("--saved_model={saved} --output=a.npz", "--saved_model needs --dataset"),
    ("--run_dir={run} --output=a.npz --split=tset", "did you mean test?"),
    ("--run_dir={run} --output=a.npz --dataset=folder --data_dir=none", "does not exist"),
]


@pytest.mark.parametrize(("line", "message"), MISTAKES, ids=[m[0] for m in MISTAKES])
def test_a_mistake_is_one_line(trained, tmp_path, monkeypatch, capsys, line, message):
    monkeypatch.chdir(tmp_path)
    line = line.format(run=trained / "run", saved=trained / "served" / "tiny" / "1")
    assert call("encode", *line.split()) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1, error
    assert not contents(tmp_path)
