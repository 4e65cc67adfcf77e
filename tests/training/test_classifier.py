"""A classifier through the loop of all models: its run folder, resuming, and what it is not."""

import numpy as np
import pytest

import zoo
from tests.flags.test_programs import call
from zoo.config import RunConfig
from zoo.training.loop import train


def tiny(**settings):
    return RunConfig.create(
        **{
            "model": "classifier",
            "width": 0.03,
            "batch_size": 8,
            "strategy": "one_device",
            "steps": 4,
            "log_every": 2,
            "checkpoint_every": 2,
            **settings,
        }
    )


def weights(run):
    return [v.numpy() for v in run.model.network.weights]


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    return train(tiny(), tmp_path_factory.mktemp("classifier") / "run").run


def test_a_run_folder(straight):
    lines = zoo.load_run(straight.path).history()
    assert [line["step"] for line in lines] == [2, 4]
    names = {"network_loss", "cross_entropy", "accuracy", "validation_error", "test_error"}
    for line in lines:
        assert names <= line.keys()
    run = zoo.load_run(straight.path)
    split = run.dataset.split("test")
    assert run.config.model.classes == 10 and not (run.path / "images").exists()
    assert lines[-1]["test_error"] == run.model.error_rate(split.images, split.labels)


@pytest.mark.slow
def test_stopped_and_resumed_equals_straight(straight, tmp_path):
    train(tiny(steps=2), tmp_path / "resumed")
    resumed = train(tiny(), tmp_path / "resumed")
    assert resumed.first_step == 2
    for one, other in zip(weights(straight), weights(resumed.run), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "command",
    [
        "sample --output={0}/a.png",
        "export --output={0}/served --name=classifier",
        "evaluate --metrics=elbo",
    ],
)
def test_it_is_no_generative_model(straight, tmp_path, capsys, command):
    name, *arguments = command.format(tmp_path).split()
    assert call(name, f"--run_dir={straight.path}", *arguments) == 2
    error = capsys.readouterr().err
    assert "a classifier makes no images and has no signatures" in error
    assert error.count("\n") == 1 and not list(tmp_path.iterdir())


def test_its_report(straight):
    assert call("report", f"--run_dir={straight.path}") == 0
    page = (straight.path / "report.html").read_text()
    assert "classifier on color_mnist_mini" in page and "test_error" in page
