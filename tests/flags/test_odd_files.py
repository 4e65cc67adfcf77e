"""FIFOs, folders and devices where the zoo expects a file: one line, and nobody waits."""

import os
import shutil

import pytest

from tests.flags.conftest import TINY
from tests.flags.in_process import call
from zoo.config import RunConfig
from zoo.run import Run

pytestmark = pytest.mark.timeout(60)

SAVED_MODEL = "--saved_model={here}/served/tiny/1"


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


@pytest.mark.parametrize("make", [fifo, device])
@pytest.mark.parametrize(
    ("file", "arguments"),
    [
        ("run/checkpoints/step-00000002/state.npz", ("evaluate", "--run_dir={here}/run")),
        ("served/tiny/1/saved_model.pb", ("sample", SAVED_MODEL)),
        (
            "served/tiny/1/variables/variables.index",
            ("sample", SAVED_MODEL),
        ),
    ],
)
def test_what_is_loaded(trained, tmp_path, capsys, make, file, arguments):
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "step-00000001")
    (tmp_path / file).unlink()
    make(tmp_path / file)
    output = f"--output={tmp_path / 'a.npz'}"
    assert call(*(a.format(here=tmp_path) for a in arguments), output) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error


def test_encodings_that_are_a_fifo_are_made_anew(trained, tmp_path, capsys):
    shutil.copytree(trained / "run", tmp_path / "run")
    os.mkfifo(tmp_path / "run" / "encodings.npz")
    asked = ("--metrics=marginal_kl", "--num_samples=50")
    assert call("evaluate", f"--run_dir={tmp_path / 'run'}", *asked) == 0
    assert (tmp_path / "run" / "encodings.npz").is_file()
