"""Runs that experiments share: made once, and gone on with after a stop."""

import signal

import pytest

from tests.flags.test_programs import call
from zoo.flags import paper
from zoo.paper.lab import Lab, Stopped
from zoo.paper.scales import SCALES
from zoo.run import Run

DATASET = "color_mnist_mini"


@pytest.fixture
def lab(tmp_path):
    return Lab(SCALES["smoke"], tmp_path, progress=lambda line: None)


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
    run = lab.train("vae", DATASET, seed=3)
    written = (run.path / "metrics.jsonl").read_bytes()
    assert lab.train("vae", DATASET, seed=3).path == run.path
    assert (run.path / "metrics.jsonl").read_bytes() == written
    assert lab.train("vae", DATASET, seed=4).path != run.path


def test_a_run_that_was_stopped_is_not_measured_but_gone_on_with(lab, preempted):
    with pytest.raises(Stopped, match="stopped while training vae,seed=0"):
        lab.train("vae", DATASET, seed=0)
    run = lab.train("vae", DATASET, seed=0)
    assert [line["step"] for line in run.history()] == [1, 2, 3, 4]


def test_the_program_ends_well_after_a_stop(tmp_path, preempted, monkeypatch, capsys):
    monkeypatch.setattr(paper, "EXPERIMENTS", {"samples": paper.EXPERIMENTS["samples"]})
    output = tmp_path / "results"
    assert call("paper", "--experiment=all", "--scale=smoke", f"--output={output}") == 0
    assert "the same command goes on" in capsys.readouterr().out
    assert not (output / "samples").exists()
