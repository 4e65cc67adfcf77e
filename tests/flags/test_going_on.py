"""Going on with a run without saying again what it is."""

import json
import shutil

import numpy as np
import pytest

import zoo
from tests.flags.conftest import TINY
from tests.flags.in_process import call, contents
from zoo.config import RunConfig
from zoo.errors import UsageError
from zoo.run import Run
from zoo.training.going_on import config_for


def test_more_steps_of_the_same_run(trained, tmp_path, capsys):
    run = shutil.copytree(trained / "run", tmp_path / "run")
    before = Run.open(run).config.flat()
    assert call("train", f"--run_dir={run}", "--steps=3") == 0, capsys.readouterr().err
    assert "to step 3: " in capsys.readouterr().out
    assert Run.open(run).config.flat() == before | {"steps": 3}
    assert [line["step"] for line in Run.open(run).history()] == [1, 2, 3]
    assert call("train", f"--run_dir={run}") == 0
    assert "is finished: 3 steps" in capsys.readouterr().out

    again = zoo.train(run, steps=4)
    assert again.config.flat() == before | {"steps": 4} and int(again.model.step.numpy()) == 4
    with pytest.raises(UsageError, match="holds another run: seed: 0 -> 1$"):
        zoo.train(run, seed=1)


def test_a_schedule_and_averages_go_on_where_they_were(tmp_path, capsys):
    settings = ["--schedule=cosine", "--decay_steps=8", "--end_factor=0.5", "--ema_decay=0.9"]
    settings += ["--clip_norm=1", "--learning_rate=0.1", *TINY, "--checkpoint_every=10"]
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    assert call("train", *settings, "--steps=6", f"--run_dir={straight}") == 0
    assert call("train", *settings, "--steps=3", f"--run_dir={stopped}") == 0
    assert call("train", f"--run_dir={stopped}", "--steps=6") == 0
    one, other = (np.load(f / "checkpoints/step-00000006/state.npz") for f in (straight, stopped))
    assert one.files == other.files
    for name in one.files:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)
    assert Run.open(stopped).config == Run.open(straight).config
    assert call("train", f"--run_dir={stopped}", "--schedule=linear") == 2
    assert "schedule: 'cosine' -> 'linear'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--latent_size=4"], "holds another run: latent_size: 3 -> 4\n"),
        (["--learning_rate=1e-5", "--steps=9"], "holds another run: learning_rate: {"),
        (["--model=aae"], "holds another run: model: 'vae' -> 'aae'; "),
        (["--latent_size=0"], "latent_size=0 is not accepted"),
        (["--model=classifier", "--strategy=one_device"], "'vae' -> 'classifier'"),
    ],
)
def test_what_would_make_another_run_is_refused(trained, capsys, arguments, message):
    before = contents(trained / "run")
    assert call("train", f"--run_dir={trained / 'run'}", *arguments) == 2
    assert message in capsys.readouterr().err
    assert contents(trained / "run") == before


def test_a_run_keeps_the_steps_that_it_has_done(trained, tmp_path):
    run = shutil.copytree(trained / "run", tmp_path / "run")
    done = Run.open(run).config.training.steps
    assert zoo.train(run, steps=done - 1).config.training.steps == done
    assert Run.open(run).config.training.steps == done


def test_a_folder_without_a_run_has_the_defaults(tmp_path):
    assert config_for(tmp_path / "new", {"steps": 5}) == RunConfig.create(steps=5)


def test_a_run_that_is_older_than_a_setting_goes_on_with_its_default(trained, tmp_path, capsys):
    run = shutil.copytree(trained / "run", tmp_path / "run")
    written = json.loads((run / "config.json").read_text())
    assert written["model"].pop("kl_schedule") == "constant"
    (run / "config.json").write_text(json.dumps(written))
    assert call("train", f"--run_dir={run}", "--kl_schedule=linear") == 2
    assert "kl_schedule: 'constant' -> 'linear'" in capsys.readouterr().err
    assert call("train", f"--run_dir={run}", "--steps=3") == 0, capsys.readouterr().err
    assert Run.open(run).config.model.kl_schedule == "constant"


def test_how_devices_share_the_work_goes_with_the_strategy(tmp_path):
    config = RunConfig.create(strategy="mirrored", cpu_devices=2, latent_size=7, steps=10)
    run = Run.create_or_resume(tmp_path / "run", config, "0" * 16, (28, 28, 3)).path
    assert config_for(run, {}) == config
    assert config_for(run, {"cpu_devices": 4}).training.strategy == "mirrored"
    other = config_for(run, {"strategy": "one_device"})
    assert other.training.cpu_devices is None and other.model.latent_size == 7
    assert not config.differences(other)
