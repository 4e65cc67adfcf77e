"""The page of all runs below a folder."""

import json
import os
import re

import numpy as np
import pytest

from tests.models.training import trained
from tests.models.variants import TINY
from tests.report.conftest import measured, record
from zoo.config import RunConfig
from zoo.errors import UsageError
from zoo.pictures import save_png
from zoo.report import write_overview
from zoo.report.comparison import compare, marked
from zoo.run import Run


def table(page, heading):
    """Rows of cells under a heading, without tags."""
    section = page[page.index(f"<h2>{heading}</h2>") :].partition("</section>")[0]
    rows = re.findall(r"<tr>(.*?)</tr>", section, re.DOTALL)
    cells = [re.findall(r"<t[hd].*?>(.*?)</t[hd]>", row, re.DOTALL) for row in rows]
    return [[" ".join(re.sub("<.*?>", "", cell).split()) for cell in row] for row in cells]


def two_runs(folder):
    runs = []
    for name, rate in (("slow", 1e-4), ("fast", 1e-3)):
        config = RunConfig.create(learning_rate=rate)
        run = Run.create_or_resume(folder / "sweep" / name, config, "none", (28, 28, 3))
        for step in (3, 7):
            run.log({"step": step, "elbo": 1.0, name: 1.0})
        runs.append(run)
    return runs


def test_settings_that_differ_and_the_metrics_that_all_have(tmp_path):
    for run, value in zip(two_runs(tmp_path), (-5.0, -9.0), strict=True):
        measured(run, record(value=value), record(run.path.name, value), record("kl", 2.0))
        save_png(run.path / "images" / "samples-00000007.png", np.zeros((2, 2, 3), np.uint8))
    page = write_overview(tmp_path).read_text()
    names = ["", "sweep/fast", "sweep/slow"]
    assert "<h1>2 runs</h1>" in page
    assert table(page, "Settings that differ") == [names, ["learning_rate", "0.001", "0.0001"]]
    assert table(page, "Metrics") == [
        names,
        ["Likelihood", ""],
        ["elbo ↑", "-9 ± 0.25", "-5 ± 0.25"],
        ["kl", "2 ± 0.25", "2 ± 0.25"],
    ]
    whole = '<span class="whole">'
    assert f'<td class="best">{whole}<b>-5</b>' in page and f'<td class="">{whole}<b>-9</b>' in page
    assert "Not compared, since not all runs have them, measured alike: fast, slow." in page


def test_curves_that_runs_share_lie_in_common_panels(tmp_path):
    two_runs(tmp_path)
    page = write_overview(tmp_path).read_text()
    (panel,) = re.findall(r'<div class="panel">(.*?)</div>', page, re.DOTALL)
    assert ">elbo</text>" in panel
    key = re.findall(r'border-top: 3px (\w+) (#\w+)"></span>([\w/]+)', page)
    assert [name for _, _, name in key] == ["sweep/fast", "sweep/slow"]
    assert len({colour for _, colour, _ in key}) == 2
    assert all(f"stroke: {colour}" in panel for _, colour, _ in key)


def test_samples_of_every_run_under_one_noise(tmp_path):
    runs = []
    for name, seed in (("a", 0), ("b", 1)):
        config = RunConfig.create(**TINY, seed=seed)
        runs.append(Run.create_or_resume(tmp_path / name, config, "none", (28, 28, 3)))
        runs[-1].checkpoints.save(trained({"model": "vae"}, 1))  # the same weights
    Run.create_or_resume(tmp_path / "c", config, "none", (28, 28, 3))  # none at all
    page = write_overview(tmp_path).read_text()
    pictures = re.findall(r'src="(data:image/png;[^"]*)"', page)
    assert len(pictures) == 2 and pictures[0] == pictures[1]  # whatever the seed of the training
    assert "16 of seed 0 of each" in page and "has no checkpoint yet" in page


def test_without_a_checkpoint_it_has_the_trainings_own_samples(run):
    save_png(run.path / "images" / "samples-00000005.png", np.zeros((2, 2, 3), np.uint8))
    page = write_overview(run.path.parent).read_text()
    assert "of the training, step 5" in page and "not under the common seed: " in page


MARKS = {
    "apart": ("up", [(1.0, 0.1), (2.0, 0.1)], ["", "best"]),
    "lower": ("down", [(1.0, 0.1), (2.0, 0.1)], ["best", ""]),
    "a tie": ("up", [(1.8, 0.1), (2.0, 0.1), (1.7, 0.1)], ["tie", "best", ""]),
    "no error": ("up", [(1.99, None), (2.0, None)], ["", "best"]),
    "equal": ("up", [(2.0, 0.1), (2.0, 0.1)], ["", ""]),
    "no direction": ("", [(1.0, 0.1), (2.0, 0.1)], ["", ""]),
}


@pytest.mark.parametrize(("direction", "values", "marks"), MARKS.values(), ids=MARKS)
def test_the_best_and_ties(direction, values, marks):
    assert marked([record("elbo", *value) for value in values], direction) == marks


def test_the_datas_own_score_stands_beside_the_name():
    asked = {"metric": "fid"}
    runs = [[record("fid_data", 0.5, None, asked=asked), record("fid", f)] for f in (2.0, 3.0)]
    (row,) = compare(runs)
    assert row.reference is not None and (row.reference.name, row.reference.text) == ("data", "0.5")


@pytest.mark.parametrize(
    "other",
    [{"n": 9}, {"split": "train"}, {"feature_extractor": "f"}, {"data_fingerprint": "x"}],
    ids=lambda other: next(iter(other)),
)
def test_what_was_measured_otherwise_is_not_compared(other):
    assert [row.name for row in compare([[record()], [record()]])] == ["elbo"]
    assert compare([[record()], [record(**other)]]) == []


def test_what_the_scatter_plot_draws(tmp_path):
    for run, value in zip(two_runs(tmp_path), (-5.0, -9.0), strict=True):
        measured(run, record(value=value), record("kl", 2.0, None))
    (tmp_path / "sweep" / "slow").rename(tmp_path / "sweep" / "<script>")
    page = write_overview(tmp_path).read_text()
    (data,) = re.findall(r'id="points">(.*?)</script>', page)
    assert json.loads(data)["runs"] == ["sweep/<script>", "sweep/fast"] and "<" not in data
    elbo, kl = json.loads(data)["metrics"]
    assert (elbo["name"], elbo["direction"], elbo["values"]) == ("elbo", "up", [-5.0, -9.0])
    assert kl["errors"] == [None, None]


def test_no_scatter_plot_of_one_metric(tmp_path):
    for run in two_runs(tmp_path):
        measured(run, record())
    assert "Any two metrics" not in write_overview(tmp_path).read_text()


def test_overview_needs_a_run(tmp_path):
    with pytest.raises(UsageError, match="has no run folder below it"):
        write_overview(tmp_path)


def foreign(file):
    file.write_text('{"architectures": ["BertModel"]}')


OTHERS = {
    "foreign": (foreign, "config.json is not the config of a run"),
    "no JSON": (lambda file: file.write_text("model: vae"), "cannot be read as JSON"),
    "a FIFO": (lambda file: os.mkfifo(file), "is not a regular file"),
    "a folder": (lambda file: file.mkdir(), "is not a regular file"),
}
DAMAGES = {
    "metrics.jsonl": "metrics.jsonl is damaged",
    "evaluation.json": "evaluation.json cannot be read",
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("make", "message"), OTHERS.values(), ids=OTHERS)
def test_overview_leaves_out_what_is_no_run(run, tmp_path, make, message, warnings_logged):
    (tmp_path / "other").mkdir()
    make(tmp_path / "other" / "config.json")
    page = write_overview(tmp_path).read_text()
    assert "<h1>1 run</h1>" in page and "&lt;run&gt;" in page
    assert "<h2>Left out</h2>" in page and "<dt>other</dt>" in page and message in page
    assert len(warnings_logged) == 1 and message in warnings_logged[0]
    assert "left out of the overview: " in warnings_logged[0]


@pytest.mark.parametrize(("name", "message"), DAMAGES.items())
def test_overview_leaves_out_damaged_runs(run, tmp_path, name, message, warnings_logged):
    damaged = Run.create_or_resume(tmp_path / "damaged", run.config, "none", (28, 28, 3))
    (damaged.path / name).write_bytes(b"\xff\n")
    page = write_overview(tmp_path).read_text()
    assert "<h1>1 run</h1>" in page and "<dt>damaged</dt>" in page and message in page
    assert len(warnings_logged) == 1 and message in warnings_logged[0]


def test_overview_of_nothing_but_others(tmp_path, warnings_logged):
    foreign(tmp_path / "config.json")
    with pytest.raises(
        UsageError, match="has no run folder below it: .*is not the config of a run"
    ):
        write_overview(tmp_path)


def test_overview_at_home(run, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert write_overview("~") == tmp_path / "report.html"
