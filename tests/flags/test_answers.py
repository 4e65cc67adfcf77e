"""The same command a second time: answered from the file, and only while nothing has changed."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from tests.flags.in_process import call
from tests.flags.processes import ROOT
from zoo.answers import KEPT, find, keep, question
from zoo.config import EvaluationConfig
from zoo.files import write_json
from zoo.run import Run

MEASURE = ("--metrics=elbo,representation", "--num_samples=4")
WITHOUT_TENSORFLOW = """
import sys
sys.modules["tensorflow"] = sys.modules["keras"] = None  # whoever imports them fails
from zoo.flags.evaluate import run
run()
"""


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained / "run", tmp_path / "run")


def records_of(run):
    return json.loads((run / "evaluation.json").read_text())["records"]


def test_the_same_command_needs_no_tensorflow(run, capsys):
    assert call("evaluate", f"--run_dir={run}", *MEASURE) == 0
    first = capsys.readouterr().out.splitlines()
    before = (run / "evaluation.json").read_bytes()
    moved = run.rename(run.with_name("moved"))
    command = [sys.executable, "-c", WITHOUT_TENSORFLOW, f"--run_dir={moved}"]
    again = subprocess.run([*command, *MEASURE], cwd=ROOT, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    *said, last = again.stdout.splitlines()
    assert last == f"all of it stands in {moved / 'evaluation.json'}"
    assert [line for line in said if "already measured" not in line] == [
        line for line in first if line.startswith("  ")
    ]
    assert len(said) > 10
    assert (moved / "evaluation.json").read_bytes() == before

    other = [*command, "--metrics=elbo", "--num_samples=5"]
    assert subprocess.run(other, cwd=ROOT, capture_output=True).returncode == 1


def test_a_question_is_of_all_that_the_answer_depends_on(run, tmp_path):
    extractor = tmp_path / "weights.h5"
    extractor.write_bytes(b"1")
    settings = EvaluationConfig(num_samples=4, feature_extractor=str(extractor))

    def ask(names=("elbo",), settings=settings):
        return question(Run.open(run), names, settings)

    first = ask()
    assert ask() == first
    asked = [ask(("iwae",)), ask(settings=EvaluationConfig(num_samples=5))]
    extractor.write_bytes(b"2")
    asked.append(ask())
    state = max((run / "checkpoints").iterdir()) / "state.npz"
    with np.load(state) as file:
        values = dict(file)
    name = next(name for name in values if name.startswith("decoder/"))
    np.savez(state, **{**values, name: values[name] + 1})
    asked.append(ask())
    config = json.loads((run / "config.json").read_text())
    write_json(run / "config.json", {**config, "data_fingerprint": "0" * 16})
    asked.append(ask())
    shutil.copytree(run, tmp_path / "classifier")
    settings = EvaluationConfig(num_samples=4, feature_extractor=str(tmp_path / "classifier"))
    asked.append(ask(settings=settings))
    (tmp_path / "classifier/config.json").write_bytes((run / "config.json").read_bytes() + b" ")
    asked.append(ask(settings=settings))
    assert None not in asked and len({first, *asked}) == 1 + len(asked)


@pytest.mark.parametrize("lacking", ["run/config.json", "weights.h5", "run/checkpoints"])
def test_what_cannot_be_read_has_no_question(run, tmp_path, lacking):
    (tmp_path / "weights.h5").write_bytes(b"1")
    opened = Run.open(run)
    settings = EvaluationConfig(num_samples=4, feature_extractor=str(tmp_path / "weights.h5"))
    assert question(opened, ("elbo",), settings)
    place = tmp_path / lacking
    if place.is_dir():
        place = max(place.iterdir()) / "state.npz"
    place.unlink()
    os.mkfifo(place)  # whoever reads it waits for ever
    assert question(opened, ("elbo",), settings) is None


def test_an_answer_goes_with_its_records(run):
    file = run / "evaluation.json"
    records = records_of(run)
    assert find(file, "none") is None
    keep(file, "all", ["ais: left out: slow"], records)
    assert find(file, "all") == (["ais: left out: slow"], records)
    for number in range(KEPT - 1):
        keep(file, str(number), [], records)
    assert find(file, "all")
    keep(file, "one more", [], records)
    assert find(file, "all") is None and find(file, "0") == ([], records)

    content = json.loads(file.read_text())
    write_json(file, {**content, "records": [{**r, "weights": "0" * 16} for r in records]})
    assert find(file, "0") is None
    write_json(file, {**content, "answers": [{"question": "0", "records": "none"}]})
    assert find(file, "0") is None and records_of(run) == records
