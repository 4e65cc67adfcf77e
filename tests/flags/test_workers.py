"""Two worker processes on loopback, through the program: preempted, killed, and going on; and one
that is alone."""

import json
import signal
import socket
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
    assert err.count("\n") == 1 and "lost 1 of the 2 workers, worker 0 (127.0.0.1:" in err

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


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_worker_that_waits_says_for_whom_and_ends_on_signals(tmp_path, number, code):
    config, other = cluster(2)
    address = json.loads(other)["cluster"]["worker"][1]
    process = start(command(tmp_path / "run"), TF_CONFIG=config)
    assert process.stderr.readline().endswith(f"waiting for worker 1 ({address})\n")
    process.send_signal(number)
    ((ended, out, err),) = finish([process])
    assert (ended, out) == (code, "") and err.count("\n") == 1 and err.startswith("train: ")


def test_a_port_in_use_is_a_mistake(tmp_path):
    config, _ = cluster(2)
    port = int(json.loads(config)["cluster"]["worker"][0].rpartition(":")[2])
    with socket.create_server(("", port)):
        ((code, out, err),) = finish([start(command(tmp_path / "run"), TF_CONFIG=config)])
    assert (code, out) == (2, "") and err.count("\n") == 1
    assert f"port {port} of worker 0" in err and "another process listens on it" in err


# Both have the same graph, in which worker 1 asks for 64 TiB.
GREEDY = """
import json, os
from zoo.flags import program, train

program.start_tensorflow()
import tensorflow as tf
from zoo.models.vae import VAE

losses = VAE.losses
most = 1 << 44 * json.loads(os.environ["TF_CONFIG"])["task"]["index"]

def huge(self, images, noise, training=True):
    size = tf.where(self.step.value >= 2, most, 1)
    more = tf.reduce_max(tf.random.stateless_uniform([size], [0, 0]))
    result, report = losses(self, images, noise, training)
    return {**result, "decoder": result["decoder"] + more}, report

VAE.losses = huge
train.run()
"""


def test_a_worker_without_memory_says_so_and_the_other_names_it(tmp_path):
    workers = start_workers(["-c", GREEDY, *command(tmp_path / "run")[2:]])
    (code, _, err), (greedy_code, _, greedy_err) = finish(workers)
    assert greedy_code == 2, greedy_err
    assert greedy_err.count("\n") == 1
    assert "memory does not suffice for batch_size=8" in greedy_err
    assert code == 3 and "lost 1 of the 2 workers, worker 1 (127.0.0.1:" in err
