"""Every experiment runs at smoke scale, shares its runs, and leaves what it promises."""

import pytest

from tests.flags.test_programs import call
from zoo.files import read_json
from zoo.flags import paper
from zoo.paper import EXPERIMENTS
from zoo.paper.outcome import NOT_SEEN, SEEN, UNDECIDED
from zoo.paper.scales import SCALES

DATASET = "color_mnist_mini"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_smoke(name, runs, tmp_path, capsys):
    chosen = [f"--experiment={name}", "--scale=smoke", f"--runs_dir={runs}"]
    output = f"--output={tmp_path / 'results'}"
    assert call("paper", *chosen, output) == 0, capsys.readouterr().err
    folder = tmp_path / "results" / name / ("" if EXPERIMENTS[name].data == "none" else DATASET)
    result = read_json(folder / "result.json")
    assert result["claims"] and all(result["tables"].values())
    for claim in result["claims"]:
        assert claim["verdict"] in (SEEN, NOT_SEEN, UNDECIDED)
        assert f"{claim['statement']}: {claim['verdict']}" in result["prose"]
    for kind, suffix in (("tables", "csv"), ("pictures", "png")):
        assert all((folder / f"{n}.{suffix}").stat().st_size for n in result[kind])
    assert result["prose"] in (tmp_path / "results.md").read_text()
    capsys.readouterr()
    assert call("paper", *chosen, output) == 0
    assert "Nothing to do" in capsys.readouterr().out


def test_list_names_every_experiment_and_scale(capsys):
    assert call("paper", "--list") == 0
    table = capsys.readouterr().out
    assert all(f"`{name}`" in table for name in EXPERIMENTS)
    assert all(f" {scale} |" in table for scale in SCALES)
    assert all(set(e.cost) == set(SCALES) for e in EXPERIMENTS.values())


def test_an_experiment_of_classes_leaves_out_data_without_them(tmp_path, capsys):
    chosen = ("--experiment=latent_matching", "--scale=medium", "--dataset=blue_marble")
    assert call("paper", *chosen, f"--output={tmp_path / 'results'}") == 0
    assert "latent_matching on blue_marble is left out" in capsys.readouterr().out
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--experiment=figure_1", "--output=new"], "experiment='figure_1' is not known"),
        (["--experiment=all"], "give --output"),
        (["--output=new"], "give --experiment"),
        (
            ["--experiment=all", "--output=new", "--dataset=cifar10"],
            "scale=small has no dataset='cifar10': expected one of color_mnist_mini",
        ),
        (
            ["--experiment=synthetic", "--output=new", "--dataset=color_mnist_mini"],
            "experiment=synthetic is of no data set",
        ),
        (["--experiment=all", "--output=file"], "is a file: expected a folder"),
    ],
)
def test_a_mistake_writes_nothing(tmp_path, monkeypatch, capsys, flags, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    assert call("paper", *flags) == 2
    assert message in capsys.readouterr().err and [f.name for f in tmp_path.iterdir()] == ["file"]


def test_all_goes_on_after_a_failure(tmp_path, monkeypatch, capsys):
    def fail(lab):
        raise RuntimeError("out of luck")

    monkeypatch.setattr("zoo.paper.Experiment.load", lambda self: fail)
    monkeypatch.setattr(paper, "EXPERIMENTS", dict(list(EXPERIMENTS.items())[:2]))
    assert call("paper", "--experiment=all", f"--output={tmp_path / 'results'}") == 1
    err = capsys.readouterr().err
    assert err.count("failed: out of luck") == 2 and "zoo-paper: failed: " in err
