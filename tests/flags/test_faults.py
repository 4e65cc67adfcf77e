"""Kills, signals and rivals: real processes on one run folder."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import zoo

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
STEPS = 60
PATIENCE = 120  # seconds
ENVIRONMENT = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}


def start(folder, steps=STEPS):
    command = [
        *(sys.executable, "-m", "flags.train", f"--run_dir={folder}", f"--steps={steps}"),
        *("--strategy=one_device", "--batch_size=8", "--width=0.06", "--latent_size=3"),
        *("--log_every=5", "--checkpoint_every=10"),
    ]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def newest(folder):
    return max((int(f.name[5:]) for f in (folder / "checkpoints").glob("step-*")), default=0)


def wait_for_a_step_after(process, folder, step):
    deadline = time.monotonic() + PATIENCE
    while newest(folder) <= step:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "no new checkpoint"
        time.sleep(0.002)


def weights(folder):
    model = zoo.load_run(folder).model
    assert int(model.step.numpy()) == STEPS
    return [v.numpy() for p in model.players for v in getattr(model, p).weights]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faults") / "uninterrupted"
    code, out, err = finish(start(folder))
    assert code == 0 and f"to step {STEPS}" in out, err
    return folder


def assert_same_run(folder, other):
    for one, two in zip(weights(folder), weights(other), strict=True):
        np.testing.assert_array_equal(one, two)
    steps = [[line["step"] for line in zoo.load_run(f).metrics()] for f in (folder, other)]
    assert sorted(set(steps[0])) == steps[0] and set(steps[1]) <= set(steps[0])


def test_killed_twice_ends_with_the_same_weights(tmp_path, uninterrupted):
    chance, folder, step = random.Random(0), tmp_path / "killed", 0
    for _ in range(2):
        process = start(folder)
        wait_for_a_step_after(process, folder, step)
        time.sleep(chance.uniform(0, 0.05))
        process.kill()
        assert finish(process)[0] == -signal.SIGKILL
        step = newest(folder)
    code, out, err = finish(start(folder))
    assert code == 0 and f"to step {STEPS}" in out, err
    assert_same_run(folder, uninterrupted)
    assert not list((folder / "checkpoints").glob(".partial-*"))


def test_sigterm_stops_well_and_the_same_command_goes_on(tmp_path, uninterrupted):
    folder = tmp_path / "preempted"
    process = start(folder)
    wait_for_a_step_after(process, folder, 0)
    process.terminate()
    code, out, err = finish(process)
    assert code == 0 and "the same command goes on" in out and "Traceback" not in err
    assert f"stopped at step {newest(folder)} of {STEPS}" in out
    code, out, err = finish(start(folder))
    assert code == 0 and f"to step {STEPS}" in out, err
    assert_same_run(folder, uninterrupted)


def test_a_second_process_is_refused(tmp_path):
    folder = tmp_path / "shared"
    first = start(folder, steps=100_000)
    try:
        wait_for_a_step_after(first, folder, 0)
        code, out, err = finish(start(folder, steps=100_000))
        assert code == 2 and out == ""
        assert err.count("\n") == 1 and "is in use by another process" in err
        assert first.poll() is None
    finally:
        first.terminate()
        first.communicate(timeout=PATIENCE)
    assert first.returncode == 0
