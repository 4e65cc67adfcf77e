"""Two worker processes on loopback, through the program: preempted, killed, and going on."""

import signal
import time

import numpy as np
import pytest

import zoo
from tests.training.processes import (
    PATIENCE,
    finish,
    start,
    start_workers,
    train_with_workers,
)

pytestmark = pytest.mark.slow

BOUND = 60  # seconds in which the survivors end; TensorFlow's heartbeats take ten
STEPS = 30
SETTINGS = {
    "steps": STEPS,
    "batch_size": 8,
    "width": 0.06,
    "latent_size": 3,
    "log_every": 5,
    "checkpoint_every": 10,
}


def command(folder, strategy="multi_worker", **settings):
    flags = {**SETTINGS, "strategy": strategy, "run_dir": folder, **settings}
    return ["-m", "zoo.flags.train", *(f"--{name}={value}" for name, value in flags.items())]


def steps(folder):
    return zoo.load_run(folder).checkpoints.steps() if (folder / "config.json").exists() else []


def wait_for_a_new_checkpoint(folder, processes):
    before, deadline = steps(folder), time.monotonic() + PATIENCE
    while steps(folder) == before:
        assert all(p.poll() is None for p in processes), finish(processes)
        assert time.monotonic() < deadline, "no new checkpoint"
        time.sleep(0.01)


def test_preempted_killed_and_started_again_ends_like_the_straight_run(tmp_path):
    folder = tmp_path / "story"

    workers = start_workers(command(folder))
    wait_for_a_new_checkpoint(folder, workers)
    workers[1].terminate()
    (code, out, err), (other_code, other_out, other_err) = finish(workers)
    assert (code, other_code) == (0, 0), (err, other_err)
    assert f"stopped at step {steps(folder)[-1]} of {STEPS}" in out
    assert (other_out, other_err) == ("", "")

    workers = start_workers(command(folder))
    wait_for_a_new_checkpoint(folder, workers)
    workers[0].kill()
    since = time.monotonic()
    (chief_code, _, _), (code, out, err) = finish(workers)
    assert time.monotonic() - since < BOUND
    assert chief_code == -signal.SIGKILL and code == 3 and out == ""
    assert err.count("\n") == 1 and "lost one of the 2 workers" in err

    diverging = {**SETTINGS, "learning_rate": 1e30}
    runs = [(folder, SETTINGS), (tmp_path / "straight", SETTINGS), (tmp_path / "nan", diverging)]
    said, same = train_with_workers(tmp_path / "states", runs)
    assert "training stopped at step" in said and said.count("\n") == 1 and same == said
    assert steps(tmp_path / "nan") == []
    story, *others = (np.load(file) for file in (tmp_path / "states").rglob("*.npz"))
    assert len(others) == 3  # two runs on two workers
    for other in others:
        for name in story.files:
            np.testing.assert_array_equal(story[name], other[name])

    longer = command(folder, "mirrored", cpu_devices=2, steps=STEPS + 5)
    ((code, out, err),) = finish([start(longer)])
    assert code == 0 and f"to step {STEPS + 5}" in out, err
