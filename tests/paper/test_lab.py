"""Runs that experiments share: made once, and gone on with after a stop."""

import dataclasses
import signal

import pytest

from tests.flags.test_programs import call
from zoo.flags import paper
from zoo.paper import EXPERIMENTS
from zoo.paper.comparison import repeats
from zoo.paper.grids import table_3
from zoo.paper.lab import Lab, Stopped
from zoo.paper.scales import SCALES
from zoo.run import Run

DATASET = "color_mnist_mini"


@pytest.fixture
def lab(tmp_path):
    return Lab(SCALES["smoke"], tmp_path, DATASET, progress=lambda line: None)


@pytest.fixture
def preempted(monkeypatch):
    """A SIGTERM at the second step of the first training."""
    log, sent = Run.log, []

    def log_then_preempt(self, line):
        log(self, line)
        if line["step"] == 2 and not sent:
            sent.append(line)
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(Run, "log", log_then_preempt)


def test_a_run_is_trained_once(lab):
    run = lab.train("vae", seed=3)
    written = (run.path / "metrics.jsonl").read_bytes()
    assert lab.train("vae", seed=3).path == run.path
    assert (run.path / "metrics.jsonl").read_bytes() == written
    assert lab.train("vae", seed=4).path != run.path


def test_a_model_has_the_rate_that_its_scale_found_for_it(lab):
    lab.scale = dataclasses.replace(lab.scale, best_rates={"vae": 3e-3})
    assert set(lab.train("vae").config.training.learning_rate.values()) == {3e-3}
    swept = lab.train("vae", learning_rate=2e-3)
    assert set(swept.config.training.learning_rate.values()) == {2e-3}


def test_an_exception_is_of_one_experiment_and_data_set():
    scale = SCALES["medium"]
    assert scale.of("comparison", DATASET).seeds == (0, 1, 2, 3, 4)
    assert scale.of("low_posterior", "blue_marble") == scale.of("bounds", DATASET) == scale
    known = {f"{name}/{dataset}" for name in EXPERIMENTS for dataset in scale.datasets}
    assert scale.exceptions.keys() <= known


def test_the_classifier_is_the_one_that_comes_with_the_zoo_where_the_scale_has_none(tmp_path):
    classes, none = (Lab(SCALES["medium"], tmp_path, name) for name in (DATASET, "blue_marble"))
    assert classes.has_classes and classes.classifier() == f"{DATASET}/classifier"
    assert not none.has_classes and none.classifier() is None


def test_what_was_found_is_not_looked_for_again(lab):
    calls = []

    def find(value):
        calls.append(value)
        if value is None:
            raise KeyboardInterrupt
        return {"kl": value, "curve": [1, 2.5]}

    with pytest.raises(KeyboardInterrupt):
        lab.once("kl", lambda: find(None), seed=0)
    found = [lab.once("kl", lambda: find(0.1), seed=0) for _ in range(2)]
    assert found == [{"kl": 0.1, "curve": [1, 2.5]}] * 2
    assert lab.once("kl", lambda: find(3.0), seed=1)["kl"] == 3.0
    assert calls == [None, 0.1, 3.0]


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        ("small", [{"learning_rate": rate} for rate in (2e-4, 5e-4, 1e-3)]),
        ("medium", [{"seed": seed} for seed in range(3)]),
        ("paper", [{"learning_rate": rate} for rate in table_3("vgh")]),
    ],
)
def test_models_are_compared_over_a_sweep_or_over_seeds(scale, expected):
    assert repeats(SCALES[scale], "vgh") == expected


def test_a_model_whose_repeats_differ_most_has_more_of_them():
    scale = SCALES["medium"].of("comparison", DATASET)
    assert repeats(scale, "vae") == [{"seed": seed} for seed in range(5)]
    assert repeats(scale, "vgh_plus_plus") == [{"seed": seed} for seed in range(10)]


def test_a_run_that_was_stopped_is_not_measured_but_gone_on_with(lab, preempted):
    with pytest.raises(Stopped, match="stopped while training vae,seed=0"):
        lab.train("vae", seed=0)
    run = lab.train("vae", seed=0)
    assert [line["step"] for line in run.history()] == [1, 2, 3, 4]


def test_the_program_ends_well_after_a_stop(tmp_path, preempted, monkeypatch, capsys):
    monkeypatch.setattr(paper, "EXPERIMENTS", {"samples": paper.EXPERIMENTS["samples"]})
    output = tmp_path / "results"
    assert call("paper", "--experiment=all", "--scale=smoke", f"--output={output}") == 0
    assert "the same command goes on" in capsys.readouterr().out
    assert not (output / "samples").exists()
