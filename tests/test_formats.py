"""What other versions of the zoo wrote: the one before is read, a newer one refused in one line."""

import json

import pytest

from tests.flags.in_process import call
from zoo.config import RunConfig
from zoo.errors import UsageError
from zoo.formats import FORMAT_VERSION, check_format, current_config
from zoo.records import merge_into, read_evaluation
from zoo.run import Run

KEY = {"asked": {"metric": "elbo", "revision": 1}, "subject": "s", "weights": "w"}
KEY |= {"dataset": "d", "data_fingerprint": "f"}
RECORD = {"metric": "elbo", "value": 1.0, "standard_error": None, "n": 1, "split": None}
RECORD |= {"step": 1, "definition": "a number", **KEY}


@pytest.fixture
def run(tmp_path):
    config = RunConfig.create(width=0.06, latent_size=3, network="color_mnist")
    return Run.create_or_resume(tmp_path / "run", config, "0" * 16, (28, 28, 3))


def rewrite(file, change):
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def test_what_is_written_carries_the_version(run):
    merge_into(run.path / "evaluation.json", KEY, [RECORD], [])
    for name in ("config.json", "evaluation.json"):
        assert json.loads((run.path / name).read_text())["format_version"] == FORMAT_VERSION


def test_a_newer_run_is_refused_in_one_line(run, capfd):
    for name in ("config.json", "evaluation.json"):
        merge_into(run.path / "evaluation.json", KEY, [RECORD], [])
        rewrite(run.path / name, lambda content: content.update(format_version=99))
        assert call("report", f"--run_dir={run.path}") == 2
        line = capfd.readouterr().err
        assert f"{name} is of format 99, which a newer zoo wrote" in line and line.count("\n") == 1
        rewrite(run.path / name, lambda content: content.update(format_version=FORMAT_VERSION))


def test_a_config_of_before_gets_its_network(run):
    def age(content):
        del content["format_version"], content["model"]["network"]

    rewrite(run.path / "config.json", age)
    assert Run.open(run.path).config == run.config


@pytest.mark.parametrize("model", ["vae", "classifier"])
def test_a_config_of_before_gets_its_schedule(tmp_path, model):
    halving = {"schedule": "exponential", "decay_steps": 70, "decay_rate": 0.5}
    schedule = halving if model == "classifier" else {"schedule": "constant"}
    config = RunConfig.create(model=model, **schedule)
    run = Run.create_or_resume(tmp_path / "run", config, "0" * 16, (28, 28, 3))

    def age(content):
        for name in ("schedule", "decay_steps", "decay_rate", "end_factor", "ema_decay"):
            del content["training"][name]
        content["model"]["halving_steps"] = 70 if model == "classifier" else None

    rewrite(run.path / "config.json", age)
    assert Run.open(run.path).config == config


def test_records_of_before_get_the_name_of_today(tmp_path):
    old = {**RECORD, "classifier": "vgg", "asked": {"metric": "fid", "classifier": "vgg"}}
    (tmp_path / "e.json").write_text(json.dumps({"records": [old]}))
    (record,) = read_evaluation(tmp_path / "e.json")["records"]
    assert record["feature_extractor"] == record["asked"]["feature_extractor"] == "vgg"
    assert "classifier" not in record and "classifier" not in record["asked"]


@pytest.mark.parametrize("version", [0, "2", None, 1.5, True])
def test_what_is_no_version(tmp_path, version):
    with pytest.raises(UsageError, match="format_version="):
        check_format({"format_version": version}, tmp_path)


def test_the_current_format_is_left_alone(tmp_path):
    content = {"format_version": FORMAT_VERSION, "anything": 1}
    assert current_config(content, tmp_path) is content
