"""What `import zoo` offers beside the models, as users call it."""

import subprocess
import sys

import keras
import numpy as np
import pytest

import zoo
from zoo.errors import UsageError

SETTINGS = {
    "model": "vae",
    "latent_size": 3,
    "width": 0.06,
    "batch_size": 8,
    "steps": 4,
    "log_every": 2,
    "strategy": "one_device",
}


class Log(keras.callbacks.Callback):
    """What a tracker of experiments is told."""

    def __init__(self, stop_after=None):
        super().__init__()
        self.steps, self.ended, self.stop_after = [], False, stop_after

    def on_train_batch_end(self, batch, logs=None):
        self.steps.append((int(self.model.step.numpy()), float(logs["elbo"])))
        if len(self.steps) == self.stop_after:
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        self.ended = True


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return zoo.train(tmp_path_factory.mktemp("doors") / "run", **SETTINGS)


def test_callbacks_are_called_at_every_step_and_may_stop(tmp_path):
    first, second = Log(stop_after=3), Log()
    run = zoo.train(tmp_path / "run", callbacks=[first], **SETTINGS)
    assert [step for step, _ in first.steps] == [1, 2, 3] and first.ended
    assert np.isfinite([elbo for _, elbo in first.steps]).all()
    assert run.checkpoints.newest() == 3 and not run.is_finished
    run = zoo.train(tmp_path / "run", callbacks=[second], **SETTINGS)
    assert [step for step, _ in second.steps] == [4] and run.is_finished


def test_what_is_no_callback_is_refused_before_anything(tmp_path):
    with pytest.raises(UsageError, match=r"callbacks hold 'wandb': expected keras.callbacks"):
        zoo.train(tmp_path / "run", callbacks=["wandb"], **SETTINGS)
    assert not (tmp_path / "run").exists()


def test_a_run_says_what_it_is(run):
    assert repr(run) == f"<Run {str(run.path)!r}: vae on color_mnist_mini, step 4 of 4>"


def test_a_run_and_its_export_are_measured_and_sampled_alike(run, tmp_path):
    folder = zoo.export_run(run.path, tmp_path / "served", "vae", signatures=["sample", "elbo"])
    assert folder == tmp_path / "served" / "vae" / "1"
    one = zoo.sample(run, 5, seed=3)
    for drawn in (zoo.sample(str(run.path), 5, seed=3), zoo.sample(folder, 5, seed=3)):
        np.testing.assert_allclose(drawn["images"], one["images"], atol=1e-6)
    model = run.model.sample(5, seed=3)
    for key in ("images", "z"):
        np.testing.assert_allclose(model[key], one[key], atol=1e-6)
    settings = {"metrics": "elbo", "split": "validation", "num_samples": 20}
    record = zoo.evaluate(run, **settings)[0]
    assert record in run.evaluation()["records"] and record["n"] == 20
    images = run.dataset.split("validation").images[:20]
    assert record["value"] == pytest.approx(
        float(np.mean(run.model.elbo(images)["elbo"])), rel=1e-5
    )
    data = zoo.load_dataset("color_mnist_mini")
    other = zoo.evaluate(folder, dataset=data, output=tmp_path / "vae.json", **settings)[0]
    assert record["metric"] == other["metric"] == "elbo"
    assert other["value"] == pytest.approx(record["value"], rel=1e-5)
    with pytest.raises(UsageError, match="a SavedModel needs dataset and output"):
        zoo.evaluate(folder)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: zoo.load_dataset("color_mnist_mini", copies=0), "copies=0"),
        (lambda: zoo.load_dataset("cifar"), "cifar10"),
        (lambda: zoo.load_dataset("cifar10", path="x"), "unknown setting path='x'"),
        (lambda: zoo.evaluate("/nowhere"), "is not a run folder"),
        (lambda: zoo.sample("/nowhere"), "is not a run folder"),
        (lambda: zoo.sample("/nowhere", 0), "count=0 is not accepted"),
        (lambda: zoo.export_run("/nowhere", "served", "vae"), "is not a run folder"),
    ],
)
def test_mistakes_are_told_in_one_line(call, message):
    with pytest.raises(UsageError, match=message) as error:
        call()
    assert "\n" not in str(error.value)


def test_importing_the_zoo_loads_nothing_heavy():
    code = (
        "import sys, zoo\n"
        "assert {'VAE', 'train', 'evaluate', 'export_run'} <= set(dir(zoo))\n"
        "assert not {'tensorflow', 'keras', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
