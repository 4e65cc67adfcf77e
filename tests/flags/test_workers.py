"""Two worker processes on loopback, through the program: preempted, killed, and going on."""

import os
import signal
import time

import numpy as np
import pytest

import zoo
from tests.training.processes import (
    PATIENCE,
    cluster,
    finish,
    start,
    start_workers,
    train_with_workers,
)

pytestmark = pytest.mark.slow

BOUND = 60  # seconds in which the survivors end; TensorFlow's heartbeats take ten
STEPS = 60
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
    return ["-m", "flags.train", *(f"--{name}={value}" for name, value in flags.items())]


def steps(folder):
    return zoo.load_run(folder).checkpoints.steps() if (folder / "config.json").exists() else []


def wait_for_a_new_checkpoint(folder, processes):
    before, deadline = steps(folder), time.monotonic() + PATIENCE
    while steps(folder) == before:
        assert all(p.poll() is None for p in processes), finish(processes)
        assert time.monotonic() < deadline, "no new checkpoint"
        time.sleep(0.01)


def last_line(err):
    """The last line of stderr, which a progress bar may have begun."""
    assert "Traceback" not in err, err
    return err.splitlines()[-1].split("\r")[-1]


def test_preempted_killed_and_started_again_ends_like_the_straight_run(tmp_path):
    folder = tmp_path / "story"

    workers = start_workers(command(folder))
    wait_for_a_new_checkpoint(folder, workers)
    workers[1].terminate()
    (code, out, err), (other_code, other_out, other_err) = finish(workers)
    assert (code, other_code) == (0, 0), (err, other_err)
    assert f"stopped at step {steps(folder)[-1]} of {STEPS}" in out
    assert (other_out, other_err) == ("", "")

    for killed in (1, 0):
        workers = start_workers(command(folder))
        wait_for_a_new_checkpoint(folder, workers)
        workers[killed].kill()
        since = time.monotonic()
        results = finish(workers)
        assert time.monotonic() - since < BOUND
        assert results[killed][0] == -signal.SIGKILL
        code, out, err = results[1 - killed]
        assert code == 3 and out == "" and "lost one of the 2 workers" in last_line(err), err

    train_with_workers(tmp_path / "states", [(folder, SETTINGS), (tmp_path / "straight", SETTINGS)])
    story, *others = (np.load(file) for file in (tmp_path / "states").rglob("*.npz"))
    assert len(others) == 3  # two runs on two workers
    for other in others:
        for name in story.files:
            np.testing.assert_array_equal(story[name], other[name])

    longer = command(folder, "mirrored", cpu_devices=2, steps=STEPS + 5)
    ((code, out, err),) = finish([start(longer)])
    assert code == 0 and f"to step {STEPS + 5}" in out, err


def test_workers_that_differ_or_diverge_stop_alike(tmp_path):
    folder = tmp_path / "run"
    configs = cluster(2)
    workers = [
        start(command(folder, seed=i, steps=5), TF_CONFIG=config)
        for i, config in enumerate(configs)
    ]
    for i, (code, out, err) in enumerate(finish(workers)):
        assert code == 2 and out == ""
        assert "the workers differ in seed, here " + str(i) in last_line(err), err
    assert not folder.exists()

    workers = start_workers(command(folder, learning_rate=1e30))
    results = finish(workers)
    assert [code for code, _, _ in results] == [2, 2]
    lines = [last_line(err) for _, _, err in results]
    assert "training stopped at step" in lines[0] and lines[0] == lines[1]
    assert os.listdir(folder / "checkpoints") == [] if (folder / "checkpoints").exists() else True
