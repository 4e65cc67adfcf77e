"""Paths on the command line: which flags take them, `~`, and what absl would wait for."""

import dataclasses
import os
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from absl import flags as absl_flags

import zoo
from tests.flags.conftest import TINY
from tests.flags.in_process import call, contents
from tests.flags.test_programs import NAMES
from zoo.config import DataConfig, ModelConfig, RunConfig, TrainingConfig
from zoo.errors import UsageError
from zoo.flags import paths, program
from zoo.run import Run
from zoo.sweep import Sweep

ROOT = Path(__file__).parents[2]

PATHS = {
    "train": {"run_dir", "from", "data_dir"},
    "evaluate": {
        "run_dir",
        "pretrained",
        "saved_model",
        "samples",
        "output",
        "data_dir",
        "feature_extractor",
    },
    "encode": {"run_dir", "pretrained", "saved_model", "output", "data_dir"},
    "sample": {"run_dir", "pretrained", "saved_model", "output", "data_dir", "reconstruct"},
    "export": {"run_dir", "pretrained", "output", "web_runtime"},
    "serve": {"model", "pretrained"},
    "fit_prior": {"run_dir", "output_dir"},
    "report": {"run_dir", "runs", "evaluation"},
    "paper": {"output", "runs_dir"},
}
ALIASES = {"classifier"}  # of feature_extractor
# The flags that take a text and no path: a new one is either here, or defined as a path.
TEXTS = {
    "train": {"model", "learning_rate", "keep_best", "preset", "sweep"},
    "evaluate": {"metrics"},
    "encode": set(),
    "sample": set(),
    "export": {"name", "signatures", "format"},
    "serve": {"address", "allow_origin"},
    "fit_prior": set(),
    "report": set(),
    "paper": {"dataset", "experiment"},
}


def defined(name):
    values = absl_flags.FlagValues()
    import_module(f"zoo.flags.{name}").define(values)
    return values


@pytest.mark.parametrize("name", NAMES)
def test_every_flag_that_takes_a_path_is_known_as_one(name):
    kinds = {flag: type(defined(name)[flag].parser) for flag in defined(name)}
    named = {flag for flag, kind in kinds.items() if kind is paths.PathParser}
    assert named - ALIASES == PATHS[name]
    free = (absl_flags.ArgumentParser, absl_flags.ListParser)
    assert {flag for flag, kind in kinds.items() if kind in free} == TEXTS[name]


def test_every_setting_that_is_a_path_is_known_as_one():
    sections = (ModelConfig, DataConfig, TrainingConfig)
    fields = [field for section in sections for field in dataclasses.fields(section)]
    assert [field.name for field in fields if field.metadata["path"]] == ["data_dir"]
    texts = {f.name for f in fields if "str" in f.type and not f.metadata["choices"]}
    assert texts == {"data_dir", "model", "keep_best"}


@pytest.mark.parametrize(("name", "flag"), [(n, f) for n in NAMES for f in sorted(PATHS[n])])
def test_home_in_every_path_flag(name, flag, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for argument in ([f"--{flag}=~/a/b"], [f"--{flag}", "~/a/b"]):
        values = defined(name)
        program.parse(values, [f"zoo-{name}", *argument], "about")
        assert values[flag].value == str(tmp_path / "a" / "b")
    flagfile = tmp_path / "file.flags"
    flagfile.write_text(f"--{flag}=~/c\n")
    values = defined(name)
    program.parse(values, [f"zoo-{name}", "--flagfile=~/file.flags"], "about")
    assert values[flag].value == str(tmp_path / "c")
    with pytest.raises(UsageError, match=f"--{flag}=~nobody-of-that-name: .* is not known"):
        program.parse(defined(name), [f"zoo-{name}", f"--{flag}=~nobody-of-that-name"], "about")


def test_from_training_to_report_at_home(tmp_path, monkeypatch, capsys):
    """Nothing called `~` is made, and every program finds what the one before has written."""
    home, here = tmp_path / "home", tmp_path / "here"
    here.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(here)
    run = "--run_dir=~/runs/r"
    for name, *arguments in (
        ("train", *TINY, run),
        ("evaluate", run, "--metrics=elbo", "--num_samples=4", "--output=~/e.json"),
        ("sample", run, "--num_samples=4", "--output=~/samples/s.png"),
        ("export", run, "--output=~/served", "--name=tiny"),
        ("sample", "--saved_model=~/served/tiny/1", "--num_samples=4", "--output=~/s.npz"),
        ("report", "--runs=~/runs"),
    ):
        assert call(name, *arguments) == 0, capsys.readouterr().err
    made = ("runs/r/config.json", "e.json", "samples/s.png", "served/tiny/1", "s.npz")
    for place in (*made, "runs/report.html"):
        assert (home / place).exists(), place
    assert not list(here.iterdir())


def test_home_at_the_doors_of_python(trained, tmp_path, monkeypatch):
    shutil.copytree(trained / "run", tmp_path / "runs" / "r")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    run = zoo.load_run("~/runs/r")
    assert run.path == tmp_path / "runs" / "r" == Run.open("~/runs/r").path
    assert Sweep.open("~/runs").path == tmp_path / "runs"
    again = zoo.train("~/runs/r", **run.config.flat())
    assert again.path == run.path and len(again.history()) == 2
    from zoo.export.saved_model import export_saved_model

    assert export_saved_model(run, "~/served", "tiny") == tmp_path / "served" / "tiny" / "1"
    assert not list((tmp_path / "here").iterdir())


def test_data_that_a_relative_path_names(tmp_path, monkeypatch, save_images, capsys):
    """A run knows its images from any working directory, the runs of a sweep as well."""
    save_images(tmp_path / "here" / "photos", 12)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    data = ("--dataset=folder", "--data_dir=photos", "--image_size=28")
    assert call("train", *TINY, *data, "--run_dir=r") == 0
    monkeypatch.chdir(tmp_path / "elsewhere")
    run = zoo.load_run("../here/r")
    assert run.config.data.data_dir == str(tmp_path / "here" / "photos")
    assert sum(map(len, run.dataset.splits.values())) == 12
    arguments = ("--run_dir=../here/r", "--metrics=elbo", "--num_samples=2", "--output=e.json")
    assert call("evaluate", *arguments) == 0, capsys.readouterr().err


def test_a_run_of_old_with_a_relative_path(tmp_path, monkeypatch):
    """It is looked up from the working directory, as it was written."""
    config = RunConfig.create(dataset="folder", data_dir="photos")
    run = Run.create_or_resume(tmp_path / "r", config, "none", (28, 28, 3))
    file = run.path / "config.json"
    file.write_text(file.read_text().replace(config.data.data_dir, "photos"))
    monkeypatch.chdir(tmp_path)
    assert Run.open("r").config.data.data_dir == str(tmp_path / "photos")


def test_exporting_again_makes_the_next_version(trained, tmp_path, capsys):
    arguments = (f"--run_dir={trained / 'run'}", f"--output={tmp_path}", "--name=tiny")
    for version in ("1", "2"):
        assert call("export", *arguments) == 0, capsys.readouterr().err
        assert f"to {tmp_path}/tiny/{version}\n" in capsys.readouterr().out
    before = contents(tmp_path)
    assert call("export", *arguments, "--version=1") == 2
    assert "1 exists already: expected a free version, as 3" in capsys.readouterr().err
    assert contents(tmp_path) == before


LONG = {"a path": "/".join(["x" * 100] * 40), "a name": "x" * 256}


@pytest.mark.parametrize(("what", "place"), LONG.items(), ids=LONG)
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("train", ("--run_dir={place}", "--dataset=folder", "--data_dir=none")),
        ("train", ("--run_dir={place}", "--sweep=seed=0,1")),
        ("export", ("--run_dir={run}", "--output={place}", "--name=tiny")),
        ("evaluate", ("--run_dir={run}", "--output={place}/a.json")),
        ("sample", ("--run_dir={run}", "--output={place}/a.png")),
        ("paper", ("--experiment=synthetic", "--scale=smoke", "--output={place}")),
    ],
)
def test_what_is_too_long_is_told_before_the_work(
    trained, tmp_path, monkeypatch, capsys, name, arguments, what, place
):
    """Before images are looked for, say."""
    monkeypatch.chdir(tmp_path)
    places = {"place": tmp_path / place, "run": trained / "run"}
    assert call(name, *(argument.format(**places) for argument in arguments)) == 2
    error = capsys.readouterr().err
    assert f"File name too long: {what} of " in error, error
    assert error.count("\n") == 1 and len(error) < 300
    assert not list(tmp_path.iterdir())


@pytest.mark.timeout(30)
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("written", [("--flagfile={}",), ("-flagfile", "{}")])
def test_a_flag_file_that_would_be_waited_for(tmp_path, capsys, nested, written):
    os.mkfifo(tmp_path / "fifo")
    place = tmp_path / "fifo"
    if nested:
        (tmp_path / "flags").write_text(f"# settings\n--steps=3\n--flagfile={place}\n")
        place = tmp_path / "flags"
    assert call("train", *(part.format(place) for part in written)) == 2
    error = capsys.readouterr().err
    assert f"flagfile={tmp_path / 'fifo'} is not accepted" in error and error.count("\n") == 1


def test_a_flag_file_from_a_pipe_of_the_shell():
    """`<(...)` is a FIFO too, which is read to its end once."""
    code = f"{sys.executable} -m zoo.flags.train --flagfile=<(echo --list_models)"
    done = subprocess.run(["bash", "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "`vae`" in done.stdout, done.stderr
