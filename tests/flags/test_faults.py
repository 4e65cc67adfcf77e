"""Kills, signals, rivals, full disks and numbers that are not finite: real processes on one run."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import zoo
from tests.flags.disks import disk, fill
from tests.flags.processes import PATIENCE, ROOT, TINY, Program, call
from tests.test_checkpoints import damage_flip, damage_truncate
from zoo.files import ROOM

pytestmark = pytest.mark.slow

STEPS = 40
# A checkpoint and a line of metrics every other step: kills often fall into their writing.
EVERY = ("--log_every=2", "--checkpoint_every=2")
WATCHED = ("--validate_every=2", "--validation_images=8", "--keep_best=elbo", "--ema_decay=0.9")
MODELS = {"vae": (), "vgh_plus_plus": ("--model=vgh_plus_plus",), "watched": WATCHED}


def arguments(folder, *more, steps=STEPS):
    return (*TINY, *EVERY, f"--steps={steps}", f"--run_dir={folder}", *more)


def newest(folder):
    return max((int(f.name[5:]) for f in (folder / "checkpoints").glob("step-*")), default=0)


def ends_well(folder, *more):
    code, out, err = call("train", *arguments(folder, *more))
    assert code == 0 and f"to step {STEPS}" in out and "Traceback" not in err, err
    return err


def interrupted_after(folder, step, number, *more):
    """A training that gets a signal soon after its checkpoint of a later step than `step`."""
    process = Program("train", *arguments(folder, *more))
    process.wait_until(lambda: newest(folder) > step)
    process.send(number)
    return process.finish()


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """The runs that nothing happened to, by model."""
    made = {}

    def run(model):
        if model not in made:
            made[model] = tmp_path_factory.mktemp("straight") / model
            ends_well(made[model], *MODELS[model])
        return made[model]

    return run


def state(folder):
    run = zoo.load_run(folder)
    assert int(run.model.step.numpy()) == STEPS
    weights = [v.numpy() for p in run.model.players for v in getattr(run.model, p).weights]
    lines = [{k: v for k, v in line.items() if k != "steps_per_second"} for line in run.history()]
    pictures = {f.name: f.read_bytes() for f in (folder / "images").iterdir()}
    return weights, lines, pictures, best(folder)


def best(folder):
    """The best checkpoint, where one is kept: what it is, and its weights."""
    found = zoo.load_run(folder).checkpoints.best()
    return found and (found, zoo.load_run(folder, checkpoint="best").model.fingerprint)


def assert_same_run(folder, other):
    """Bit-identical weights, metrics and pictures, and nothing left over."""
    (weights, *rest), (others, *others_rest) = state(folder), state(other)
    for one, two in zip(weights, others, strict=True):
        np.testing.assert_array_equal(one, two)
    assert rest == others_rest
    assert_no_leftovers(folder)


def assert_no_leftovers(folder):
    assert not list(folder.rglob(".partial-*"))


@pytest.mark.parametrize("model", MODELS)
def test_killed_again_and_again(tmp_path, straight, model):
    """Right after a checkpoint, while one is written, while pictures are, and at any moment."""
    folder, chance = tmp_path / "run", random.Random(0)

    def seconds_later():
        until = time.monotonic() + chance.uniform(0, 0.5)
        return lambda: time.monotonic() > until

    def writing(where):
        return lambda: any((folder / where).glob(".partial-*"))

    for moment in (None, writing("checkpoints"), writing("images"), seconds_later()):
        process, step = Program("train", *arguments(folder, *MODELS[model])), newest(folder)
        process.wait_until(lambda step=step: newest(folder) > step)
        if moment:
            process.wait_until(moment)
        process.send(signal.SIGKILL)
        assert process.finish().code == -signal.SIGKILL
    assert 0 < newest(folder) < STEPS
    # What a loss of power may leave of a line that was on its way.
    with (folder / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 99, "elb')
    ends_well(folder, *MODELS[model])
    assert_same_run(folder, straight(model))


def test_killed_before_the_first_step(tmp_path):
    folder = tmp_path / "run"
    process = Program("train", *arguments(folder, steps=2))
    process.wait_until(lambda: (folder / ".lock").exists())
    process.send(signal.SIGKILL)
    assert process.finish().code == -signal.SIGKILL
    assert call("train", *arguments(folder, steps=2)).code == 0
    assert newest(folder) == 2
    assert_no_leftovers(folder)


@pytest.mark.parametrize("where", ["checkpoints", "images"])
def test_whoever_comes_next_removes_what_a_killed_training_left(tmp_path, where):
    """Though it only reads the run."""
    folder = tmp_path / "run"
    process = Program("train", *arguments(folder))
    process.wait_until(lambda: newest(folder) and any((folder / where).glob(".partial-*")))
    process.send(signal.SIGKILL)
    process.finish()
    if not any(folder.rglob(".partial-*")):  # it got done in that moment
        (folder / where / ".partial-abcdefgh").touch()
    assert call("report", f"--run_dir={folder}").code == 0
    assert_no_leftovers(folder)


def test_a_killed_export_is_no_version(tmp_path, straight):
    served = tmp_path / "served"
    export = ("export", f"--run_dir={straight('vae')}", f"--output={served}", "--name=vae")
    process = Program(*export)
    process.wait_until(lambda: any(served.glob("vae/.partial-*/*")))
    process.send(signal.SIGKILL)
    assert process.finish().code == -signal.SIGKILL
    assert [f.name[:9] for f in (served / "vae").iterdir()] == [".partial-"]
    assert call(*export).code == 0
    assert [f.name for f in (served / "vae").iterdir()] == ["1"]


def test_a_path_that_is_as_long_as_it_may_be(tmp_path):
    """What is taken at the start is enough for every file, and one byte more is not taken."""
    most = os.pathconf(tmp_path, "PC_PATH_MAX") - 1 - ROOM
    folder = tmp_path
    while len(str(folder)) < most - 250:
        folder = folder / ("x" * 200)
    folder = folder / ("y" * (most - len(str(folder)) - 1))
    assert len(str(folder)) == most
    for number, place in ((2, folder.with_name(folder.name + "y")), (0, folder)):
        ended = call("train", *arguments(place, steps=2))
        assert ended.code == number, ended.err
    assert call("evaluate", f"--run_dir={folder}", "--metrics=elbo", "--num_samples=4").code == 0
    above = folder.with_name("y" * (len(folder.name) - len("/vae/1")))
    export = ("export", f"--run_dir={folder}", "--name=vae")
    assert call(*export, f"--output={above}").code == 0
    assert call(*export, f"--output={above}y").code == 2
    assert_no_leftovers(tmp_path)


@pytest.mark.parametrize("damage", [damage_truncate, damage_flip])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path, straight, damage):
    folder = shutil.copytree(straight("vae"), tmp_path / "run")
    damage(folder / "checkpoints" / f"step-{STEPS:08d}" / "state.npz")
    err = ends_well(folder)
    warning = f"step-{STEPS:08d} is damaged, step {STEPS - 2} takes its place"
    assert err.count("is damaged") == 1 and warning in err
    assert_same_run(folder, straight("vae"))


def test_all_checkpoints_damaged(tmp_path, straight):
    folder = shutil.copytree(straight("vae"), tmp_path / "run")
    for file in folder.glob("checkpoints/*/state.npz"):
        damage_truncate(file)
    code, out, err = call("train", *arguments(folder))
    assert code == 2 and out == "" and err.count("\n") == 1 and "all 3 are damaged" in err
    assert newest(folder) == STEPS


def test_sigterm_stops_well_and_the_same_command_goes_on(tmp_path, straight):
    folder = tmp_path / "preempted"
    code, out, err = interrupted_after(folder, 0, signal.SIGTERM)
    assert code == 0 and "the same command goes on" in out and "Traceback" not in err
    assert f"stopped at step {newest(folder)} of {STEPS}" in out
    ends_well(folder)
    assert_same_weights(folder, straight("vae"))


def test_ctrl_c_stops_well_and_the_same_command_goes_on(tmp_path, straight):
    folder = tmp_path / "interrupted"
    ended = interrupted_after(folder, 0, signal.SIGINT)
    assert ended.code == 130 and ended.out == "" and "Traceback" not in ended.err
    line = f"zoo-train: interrupted: stopped at step {newest(folder)} of {STEPS}"
    assert ended.last_line == line
    ends_well(folder)
    assert_same_weights(folder, straight("vae"))


def assert_same_weights(folder, other):
    # A stop between two lines of metrics parts their averages: that is all that may differ.
    for one, two in zip(state(folder)[0], state(other)[0], strict=True):
        np.testing.assert_array_equal(one, two)
    assert_no_leftovers(folder)


@pytest.mark.parametrize("seconds", [0.5, 3])
def test_ctrl_c_at_the_start(tmp_path, seconds):
    """A process of its own from the shell: while it imports, and somewhat later."""
    command = [sys.executable, "-m", "zoo.flags.train", *arguments(tmp_path / "run")]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130 and out == b""
    assert b"Traceback" not in err and b"train: interrupted" in err, err


def test_several_processes_on_one_run(tmp_path):
    """Who would write is refused; who reads works while the training goes on."""
    folder = tmp_path / "shared"
    first = Program("train", *arguments(folder, steps=100_000))
    try:
        first.wait_until(lambda: newest(folder) > 0)
        code, out, err = call("train", *arguments(folder, steps=100_000))
        assert code == 2 and out == ""
        assert err.count("\n") == 1 and "is in use by another process" in err
        run = f"--run_dir={folder}"
        for reader in (
            ("evaluate", run, "--metrics=elbo,marginal_kl", "--num_samples=9"),
            ("export", run, f"--output={tmp_path / 'served'}", "--name=tiny"),
            ("report", run),
        ):
            code, out, err = call(*reader)
            assert code == 0 and err == "", err
        records = json.loads((folder / "evaluation.json").read_text())["records"]
        assert {"elbo", "marginal_kl"} <= {r["metric"] for r in records}
        assert (tmp_path / "served" / "tiny" / "1" / "saved_model.pb").exists()
        assert first.running
    finally:
        first.send(signal.SIGTERM)
        assert first.finish().code == 0
    assert_no_leftovers(folder)


def check_full(ended, where):
    assert ended.code == 2 and ended.out == "" and "Traceback" not in ended.err, ended.err
    assert ended.last_line.startswith("zoo-train: cannot write"), ended.err
    assert "No space left" in ended.last_line and str(where) in ended.last_line


@pytest.mark.parametrize("leave", [0, 64, 256])
def test_the_disk_fills_up_and_is_emptied(tmp_path, straight, leave):
    """With so many KiB left: no line is written, or some steps are done."""
    with disk(tmp_path / "disk", "40m") as place:
        folder = place / "run"
        folder.mkdir()
        fill(place, leave * 1024)
        check_full(call("train", *arguments(folder)), folder)
        assert_no_leftovers(folder)
        done = newest(folder)
        if done:
            assert int(zoo.load_run(folder).model.step.numpy()) == done
        (place / ".ballast").unlink()
        ends_well(folder)
        assert_same_run(folder, straight("vae"))


@pytest.mark.parametrize("part", ["tensorboard", "images"])
def test_no_space_for_one_part_of_a_run(tmp_path, straight, part):
    folder = shutil.copytree(straight("vae"), tmp_path / "run")
    with disk(folder / part, "4k") as place:
        fill(place)
        check_full(call("train", *arguments(folder, f"--steps={STEPS + 2}")), folder / part)
    assert int(zoo.load_run(folder).model.step.numpy()) == STEPS
    assert_no_leftovers(folder)


def test_output_that_cannot_be_printed():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "zoo.flags.train", "--help"],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "No space left" in done.stderr


def test_a_loss_that_is_not_finite(tmp_path):
    """Weights of 1e30 after the first step, whose checkpoint is sound; then an overflow."""
    folder = tmp_path / "run"
    more = ("--learning_rate=1e30", "--checkpoint_every=1", "--log_every=1")
    for _ in range(2):  # the second finds the same from the checkpoint
        ended = call("train", *arguments(folder, *more))
        assert ended.code == 2 and ended.out == "" and "Traceback" not in ended.err
        said = "zoo-train: training stopped at step 2: not finite: "
        assert ended.last_line.startswith(said), ended.err
        assert "loss of decoder" in ended.last_line and "term log_likelihood" in ended.last_line
        assert newest(folder) == 1
    model = zoo.load_run(folder).model
    assert all(np.isfinite(v.numpy()).all() for v in model.decoder.weights)
