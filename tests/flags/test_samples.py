"""The samples of another program, from their files to a report."""

import json

import numpy as np
import pytest
from PIL import Image

from tests.flags.in_process import call, contents

OF_SAMPLES = "fid,kid,inception_score,precision_recall,ms_ssim_diversity,wasserstein_critic"
OF_SAMPLES += ",memorisation"


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    run = tmp_path_factory.mktemp("classifier") / "run"
    tiny = ("--strategy=one_device", "--steps=2", "--batch_size=8", "--width=0.06")
    assert call("train", "--model=classifier", *tiny, f"--run_dir={run}") == 0
    return run


@pytest.mark.slow
def test_every_metric_of_samples(classifier, tmp_path, monkeypatch, capsys):
    """A folder of files and an array of the same images have the same scores, in one report."""
    monkeypatch.setenv("ZOO_CACHE_DIR", str(tmp_path / "cache"))
    images = np.random.default_rng(0).integers(0, 256, (100, 28, 28, 3), np.uint8)
    np.savez(tmp_path / "gan.npz", images=images)
    (tmp_path / "gan").mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / "gan" / f"{number}.png")
    asked = ["--dataset=color_mnist_mini", f"--feature_extractor={classifier}", "--train_steps=2"]
    asked += [f"--metrics={OF_SAMPLES}", f"--output={tmp_path / 'e.json'}"]
    for place in ("gan.npz", "gan"):
        code = call("evaluate", f"--samples={tmp_path / place}", *asked)
        seen = capsys.readouterr()
        assert code == 0, seen.err
        assert f"100 samples in {tmp_path / place}" in seen.out
    found = {}
    for record in json.loads((tmp_path / "e.json").read_text())["records"]:
        found.setdefault(record["subject"], {})[record["metric"]] = record
    array, folder = (found[str(tmp_path / place)] for place in ("gan.npz", "gan"))
    assert set(array) == set(folder)
    for name in ("fid", "kid", "inception_score", "precision", "recall"):
        assert array[name]["n"] == 100, name
    assert array["ms_ssim_diversity"]["n"] == 64
    for name in ("fid", "precision", "recall"):  # the others depend on the order
        assert array[name]["value"] == pytest.approx(folder[name]["value"], rel=1e-3, abs=1e-6)
    # Noise is no copy of a digit, and nothing is there to be a control.
    assert array["memorisation"]["value"] > 0.05
    assert any("no positive control" in w for w in array["memorisation"]["warnings"])
    critic = array["wasserstein_critic"]
    assert any("so few samples by heart" in warning for warning in critic["warnings"])

    assert call("report", f"--evaluation={tmp_path / 'e.json'}") == 0, capsys.readouterr().err
    page = (tmp_path / "e.html").read_text()
    assert f"{array['fid']['value']:.6g}" in page and f"<h2>{tmp_path / 'gan'} and" in page
    assert "data:image/png;base64," in page and ">None<" not in page


MISTAKES = [
    (
        "--samples=other.npy --dataset=color_mnist_mini",
        "has images (32, 32, 3): expected (28, 28, 3), as the data",
    ),
    ("--samples=none.npz --dataset=color_mnist_mini", "does not exist: expected a folder"),
    ("--samples=new --dataset=color_mnist_mini", "would put its pictures among the samples"),
    ("--samples=other.npy", "--samples needs --dataset and --output"),
    ("--samples=other.npy --copies=2", "copies: of which data set? give --dataset"),
    ("--samples=right.npy --dataset=color_mnist_mini --metrics=elbo", "no signature 'elbo'"),
    (
        "--samples=right.npy --dataset=array --data_dir=right.npy --metrics=fid",
        "needs --feature_extractor",
    ),
]


@pytest.mark.parametrize(("line", "message"), MISTAKES, ids=[m[0] for m in MISTAKES])
def test_a_mistake_is_one_line(tmp_path, monkeypatch, capsys, line, message):
    monkeypatch.chdir(tmp_path)
    np.save("other.npy", np.zeros((70, 32, 32, 3), np.uint8))
    np.save("right.npy", np.zeros((70, 28, 28, 3), np.uint8))
    before = contents(tmp_path)
    assert call("evaluate", *line.split(), "--output=new.json") == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1, error
    assert contents(tmp_path) == before


@pytest.mark.parametrize("place", ["none.json", ".", "a.npz"])
def test_a_report_of_no_evaluation(tmp_path, monkeypatch, capsys, place):
    monkeypatch.chdir(tmp_path)
    np.savez("a.npz", images=np.zeros(3))
    before = contents(tmp_path)
    assert call("report", f"--evaluation={place}") == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert contents(tmp_path) == before
