"""Models train through `fit` in every strategy, to the result of one device.

One of each kind: that one replica equals two, and XLA, the contract has for all of them.
"""

import numpy as np
import pytest

from tests.models.variants import KINDS
from tests.training.processes import train_with_workers
from zoo.config import RunConfig
from zoo.registry import MODELS
from zoo.run import load_run
from zoo.state import OPTIMIZER
from zoo.training.loop import train

pytestmark = pytest.mark.slow

RATE = 1e-3
STEPS = 3
TINY = {
    "latent_size": 3,
    "width": 0.06,
    "batch_size": 8,
    "learning_rate": RATE,
    "steps": STEPS,
    "log_every": 1,
    "checkpoint_every": 1,
}
OPTIONS = {"wgan_gp": {"critic_updates": 2}}
# One loss for all; several updates, with a penalty; four networks; statistics of the whole batch,
# and these with several updates.
GENERATIVE = [name for name in KINDS if name in MODELS]
every_kind = pytest.mark.parametrize("model", GENERATIVE)


def settings(model):
    return {"model": model, **TINY, **OPTIONS.get(model, {})}


@pytest.fixture(scope="module")
def one_device(tmp_path_factory):
    """The folder of a model's run on one device, trained once."""
    folders = {}

    def folder(model):
        if model not in folders:
            folders[model] = tmp_path_factory.mktemp("one_device") / model
            train(RunConfig.create(**settings(model), strategy="one_device"), folders[model])
        return folders[model]

    return folder


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory):
    """Where one pair of processes has trained them all, and a run begun on one device."""
    folder = tmp_path_factory.mktemp("two_workers")
    begun = {**settings("vae"), "steps": 1}
    train(RunConfig.create(**begun, strategy="one_device"), folder / "begun")
    runs = [(folder / model, settings(model)) for model in GENERATIVE]
    train_with_workers(folder / "states", [*runs, (folder / "begun", settings("vae"))])
    return folder


def checkpoint(folder, step):
    return dict(np.load(folder / "checkpoints" / f"step-{step:08d}" / "state.npz"))


def assert_same_training(folder, expected):
    """The first step's gradients and batch statistics agree, and the metrics of every step.

    Adam's moments are the gradients, and a sum that nearly cancels carries the rounding of the
    player's larger ones. The weights themselves agree to Adam's step: it moves those whose gradient
    is rounding by as much as any.
    """
    one, other = checkpoint(expected, 1), checkpoint(folder, 1)
    assert one.keys() == other.keys()
    for name, values in one.items():
        tolerance = 2.1 * RATE
        if "moving" in name or name.startswith(OPTIMIZER):
            group = [v for n, v in one.items() if n.rpartition("/")[0] == name.rpartition("/")[0]]
            rounding = 1e-6 * max(np.abs(v).max() for v in group) + 1e-7
            tolerance = 1e-4 * np.abs(values).max() + rounding
        np.testing.assert_allclose(other[name], values, rtol=0, atol=tolerance, err_msg=name)
    lines, others = load_run(expected).history(), load_run(folder).history()
    assert [line["step"] for line in others] == list(range(1, STEPS + 1))
    for name in lines[0].keys() - {"steps_per_second"}:
        assert others[0][name] == pytest.approx(lines[0][name], rel=1e-4, abs=1e-5), name


@every_kind
def test_two_replicas_equal_one(model, one_device, tmp_path):
    config = RunConfig.create(**settings(model), strategy="mirrored", cpu_devices=2)
    train(config, tmp_path)
    assert_same_training(tmp_path, one_device(model))


@every_kind
def test_two_workers_equal_one(model, one_device, two_workers):
    assert_same_training(two_workers / model, one_device(model))
    chief, other = (np.load(two_workers / "states" / str(i) / f"{model}.npz") for i in range(2))
    assert chief.files == other.files and int(chief["step"]) == STEPS
    for name in chief.files:
        np.testing.assert_array_equal(chief[name], other[name])


def test_workers_go_on_with_a_run_begun_on_one_device(one_device, two_workers):
    straight, turns = (checkpoint(f, STEPS) for f in (one_device("vae"), two_workers / "begun"))
    for name, values in straight.items():
        np.testing.assert_allclose(turns[name], values, rtol=1e-3, atol=1e-4, err_msg=name)


@every_kind
def test_settings_of_one_device_together(model, one_device, tmp_path):
    together = {"dtype_policy": "mixed_bfloat16", "jit_compile": True, "steps_per_execution": 2}
    chosen = {**settings(model), **together, "steps": 2, "log_every": 2, "checkpoint_every": 2}
    train(RunConfig.create(**chosen, strategy="one_device"), tmp_path)
    (line,) = load_run(tmp_path).history()
    plain = load_run(one_device(model)).history()[:2]
    for name in line.keys() - {"step", "steps_per_second"}:
        expected = np.mean([other[name] for other in plain])
        assert line[name] == pytest.approx(expected, rel=0.05, abs=0.05), name
    kept = checkpoint(tmp_path, 2)
    assert {v.dtype for v in kept.values()} <= {np.dtype(np.float32), np.dtype(np.int64)}
