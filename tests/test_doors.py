"""What `import zoo` offers beside the models, as users call it."""

import os
import re
import signal
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


def test_a_signal_is_the_programs_again_after_the_checkpoint(tmp_path, monkeypatch):
    """Which by default ends it: a script does not go on to measure half a training."""
    handed = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: handed.append(number))
    try:
        terminate = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: signal.raise_signal(signal.SIGTERM)
        )
        run = zoo.train(tmp_path / "run", callbacks=[terminate], **SETTINGS)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert handed == [signal.SIGTERM] and run.checkpoints.newest() == 1
    assert zoo.train(tmp_path / "run").is_finished and handed == [signal.SIGTERM]


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


def test_images_of_another_program_are_measured_by_the_array_and_by_the_file(tmp_path):
    data = zoo.load_dataset("color_mnist_mini")
    images = data.split("test").images[:64]
    np.savez(tmp_path / "images.npz", images=images)
    to = {"dataset": "color_mnist_mini", "output": tmp_path / "images.json"}
    settings = {"metrics": "ms_ssim_diversity", "num_samples": 64, **to}
    given = zoo.evaluate(samples=images, **settings)
    assert zoo.evaluate(samples=tmp_path / "images.npz", **settings) == given  # already measured
    values = {record["metric"]: record["value"] for record in given}
    alike = zoo.evaluate(samples=images[:1].repeat(64, 0), **settings)
    assert values["ms_ssim_diversity"] > 0.1
    assert {r["metric"]: r["value"] for r in alike}["ms_ssim_diversity"] == pytest.approx(
        0, abs=1e-6
    )
    for mistake, message in (
        ({}, "expected one of source and samples"),
        ({"source": "/nowhere", "samples": images, **to}, "expected one of source and samples"),
        ({"samples": images}, "samples need dataset and output"),
        (
            {"samples": images[:, :20], **to},
            r"has images \(28, 28, 3\), samples makes \(20, 28, 3\)",
        ),
    ):
        with pytest.raises(UsageError, match=message):
            zoo.evaluate(**mistake)


def test_arrays_and_their_numbers_are_taken(run, tmp_path):
    data = run.dataset.split("test").images
    to = {"metrics": "elbo,reconstruction", "num_samples": 20}
    records = zoo.evaluate(run, dataset=data, output=tmp_path / "array.json", **to)
    assert {"elbo", "reconstruction_mse"} <= {record["metric"] for record in records}
    drawn = zoo.sample(run, np.int64(2), seed=np.int32(5))
    np.testing.assert_array_equal(drawn["z"], zoo.sample(run, 2, seed=5)["z"])
    settings = {**SETTINGS, "width": np.float32(0.06), "steps": np.int64(1)}
    assert zoo.train(tmp_path / "run", **settings).config.training.steps == 1


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (lambda run: zoo.sample(run, 3.5), "count=3.5 .* expected a positive whole number"),
        (lambda run: zoo.sample(run, seed=1.5), "seed=1.5 is not accepted: expected 0 to 2147483"),
        (lambda run: zoo.sample(run, seed=2**31), "seed=2147483648 is not accepted"),
        (lambda run: zoo.sample(zoo.VAE(width=0.06)), "source is a VAE: expected a path"),
        (lambda run: zoo.load_run(3), "run_dir is a int: expected a path"),
        (lambda run: zoo.from_pretrained(None), "pretrained is a NoneType: expected a path"),
        (lambda run: zoo.evaluate(run, []), r"metrics=\[\] is not accepted"),
        (lambda run: zoo.load_dataset(np.zeros(9999)), "^dataset=a ndarray is not accepted: exp"),
    ],
)
def test_what_is_none_of_these_is_told_in_one_line(run, mistake, message):
    with pytest.raises(UsageError, match=message) as error:
        mistake(run)
    assert "\n" not in str(error.value)


def test_a_pretrained_model_is_a_run_to_measure_and_export(tmp_path):
    name = "color_mnist_mini/vae"
    run = zoo.open_pretrained(name)
    record, *_ = zoo.evaluate(run, metrics="elbo", num_samples=5, output=tmp_path / "vae.json")
    folder = zoo.export_run(name, tmp_path, "vae", signatures=["decode"])
    np.testing.assert_array_equal(zoo.sample(name, 2)["images"], zoo.sample(run, 2)["images"])
    assert record["subject"] == "pretrained color_mnist_mini/vae"
    assert (folder / "saved_model.pb").is_file()


@pytest.mark.slow
def test_bars_and_the_lines_of_tensorflow_can_be_taken_away(tmp_path):
    """Of a training and an export in a fresh process; the bar is there where nobody asks for
    silence."""
    code = (
        "import zoo\n"
        "zoo.start_tensorflow()\n"
        f"zoo.train('run', **{SETTINGS | {'steps': 1}})\n"
        "zoo.export_run('run', 'served', 'vae', signatures=['decode'])"
    )
    silent = dict(os.environ, TQDM_DISABLE="1")
    loud = {name: value for name, value in silent.items() if name != "TQDM_DISABLE"}
    for environment, said in ((silent, ""), (loud, "train: 100%")):
        folder = tmp_path / (said.partition(":")[0] or "silent")
        folder.mkdir()
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert said in done.stderr and (said or not done.stderr)
        assert not re.findall("oneDNN|Assets written", done.stderr)


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
