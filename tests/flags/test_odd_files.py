"""FIFOs, folders and devices where the zoo expects a file: one line, and nobody waits."""

import os

import pytest

from tests.flags.conftest import TINY
from tests.flags.in_process import call
from zoo.config import RunConfig
from zoo.run import Run

pytestmark = pytest.mark.timeout(60)


def fifo(path):
    os.mkfifo(path)


def folder(path):
    path.mkdir()


def device(path):
    path.symlink_to("/dev/zero")


@pytest.fixture
def run(tmp_path):
    """A run folder without checkpoints."""
    config = RunConfig.create(width=0.06, latent_size=3, steps=2)
    run = Run.create_or_resume(tmp_path / "run", config, "0" * 16, (28, 28, 3))
    run.log({"step": 1, "elbo": -1.5})
    return run.path


@pytest.mark.parametrize("make", [fifo, folder, device])
@pytest.mark.parametrize(
    ("file", "name", "arguments"),
    [
        ("run/config.json", "report", ("--run_dir={run}",)),
        ("run/config.json", "evaluate", ("--run_dir={run}",)),
        ("run/config.json", "train", (*TINY, "--run_dir={run}")),
        ("run/metrics.jsonl", "report", ("--run_dir={run}",)),
        ("run/evaluation.json", "report", ("--run_dir={run}",)),
        ("sweep.json", "train", (*TINY, "--sweep=seed=0,1", "--run_dir={here}")),
        ("a.json", "evaluate", ("--run_dir={run}", "--output={here}/a.json")),
        ("a.png", "sample", ("--run_dir={run}", "--output={here}/a.png")),
        ("run/report.html", "report", ("--run_dir={run}",)),
        ("synthetic/result.json", "paper", ("--experiment=synthetic", "--output={here}")),
    ],
)
def test_what_is_read_or_replaced(run, tmp_path, capsys, make, file, name, arguments):
    path = tmp_path / file
    path.unlink(missing_ok=True)
    path.parent.mkdir(exist_ok=True)
    make(path)
    kind = path.lstat()
    assert call(name, *(a.format(run=run, here=tmp_path) for a in arguments)) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and str(path) in error, error
    assert path.lstat().st_mode == kind.st_mode


def test_a_lock_that_is_a_fifo(run, capsys):
    (run / ".lock").unlink(missing_ok=True)
    fifo(run / ".lock")
    assert call("train", *TINY, f"--run_dir={run}") == 2
    assert "holds another run" in capsys.readouterr().err
