"""The programs, in process: help, mistakes, presets, and one story from training to report."""

import json
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from absl import flags as absl_flags
from PIL import Image

from tests.flags.in_process import call, contents
from zoo.config import RunConfig
from zoo.flags import preset, program
from zoo.models import model_class
from zoo.registry import DATASETS

ROOT = Path(__file__).parents[2]
NAMES = (
    *("train", "evaluate", "encode", "sample", "fit_prior", "export", "serve", "report", "paper"),
)
TINY = [
    *("--strategy=one_device", "--steps=4", "--batch_size=8", "--width=0.06"),
    *("--latent_size=3", "--log_every=2", "--checkpoint_every=2"),
]


def test_programs_start_without_tensorflow():
    code = f"import sys, {', '.join(f'zoo.flags.{name}' for name in NAMES)}\n"
    code += "sys.exit(any(m in sys.modules for m in ('tensorflow', 'keras')))"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.parametrize("name", NAMES)
def test_help(name, capsys):
    assert call(name, "--help") == 0
    seen = capsys.readouterr()
    assert f"zoo-{name.replace('_', '-')}" in seen.out and "Flags:" in seen.out and seen.err == ""


def test_help_of_the_process():
    command = [sys.executable, "-m", "zoo.flags.train", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "--latent_size" in done.stdout and done.stderr == ""


MISTAKES = [
    ("train --run_dir=run --latentsize=3", "latentsize"),
    ("train --run_dir=run --steps=many", "many"),
    ("train --run_dir=run --preset=color_mnist/none", "color_mnist_mini/vae"),
    ("train --steps=4", "give --run_dir"),
    ("train --run_dir=run --strategy=one_device --critic_updates=2", "critic_updates"),
    ("train --run_dir=run vae", "unexpected argument 'vae'"),
    ("train --run_dir=run --dataset=folder", "needs data_dir"),
    ("train --run_dir=run --latent_size=0", "latent_size=0 is not accepted"),
    ("train --run_dir=run --learning_rate=fast", "learning_rate='fast' is not accepted"),
    ("train --run_dir=folder --strategy=one_device", "is not empty and is no run folder"),
    ("evaluate --run_dir=folder", "is not a run folder"),
    ("evaluate --run_dir=corrupt", "cannot be read as JSON"),
    ("evaluate --run_dir=alien", "is not the config of a run"),
    (
        "evaluate --run_dir=untrained --saved_model=folder",
        "give one of --run_dir or --pretrained or --saved_model",
    ),
    ("evaluate --run_dir=untrained --num_samples=0", "num_samples=0 is not accepted"),
    ("evaluate --run_dir=untrained", "has no checkpoint yet"),
    ("evaluate --saved_model=folder", "--saved_model needs --dataset and --output"),
    ("sample --run_dir=untrained --output=a.jpg", "expected a .png or .npz file"),
    ("sample --run_dir=untrained", "give --output"),
    ("sample --saved_model=folder --output=a.png", "is not a SavedModel"),
    ("export --run_dir=untrained --output=served --name=vae --version=0", "version=0 is not"),
    ("export --run_dir=untrained --output=served --name=a/b", "expected one path component"),
    (
        "export --run_dir=untrained --output=served --name=a --format=pickle",
        "'pickle' is not known",
    ),
    (
        "export --run_dir=untrained --output=served --name=a --format=tflite",
        "saved_model among them",
    ),
    ("serve", "give one of --model or --pretrained"),
    ("serve --model=folder", "model='folder' has no version"),
    ("serve --model=served --rest_port=70000", "rest_port=70000 is not accepted"),
    ("serve --model=served --address=0.0.0.0", "expected 127.0.0.1, or --allow_remote"),
    ("serve --model=served --address=example", "expected an IP address or localhost"),
    ("serve --model=served --allow_origin=here", "allow_origin='here' is not accepted"),
    ("serve --model=served --max_batch_size=0", "max_batch_size=0 is not accepted"),
    ("serve --model=served", "no version of served can be loaded: 1: "),
    ("report --run_dir=missing", "is not a run folder"),
    ("report", "give one of --run_dir or --runs"),
    ("report --runs=missing", "runs=missing is not accepted"),
]


@pytest.mark.parametrize(("command", "message"), MISTAKES, ids=[m[0] for m in MISTAKES])
def test_a_mistake_is_one_line_and_writes_nothing(tmp_path, monkeypatch, capsys, command, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.tex").touch()
    for name, content in (("corrupt", "{"), ("alien", "[1]")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(content)
    (tmp_path / "served" / "1").mkdir(parents=True)
    (tmp_path / "served" / "1" / "saved_model.pb").write_text("no proto")
    from zoo.run import Run

    config = RunConfig.create(model="vae", width=0.06, latent_size=3)
    Run.create_or_resume(tmp_path / "untrained", config, "none", (28, 28, 3))
    before = contents(tmp_path)
    name, *arguments = command.split()
    assert call(name, *arguments) == 2
    seen = capsys.readouterr()
    assert message in seen.err and seen.err.startswith(f"zoo-{name}: ")
    assert seen.err.count("\n") == 1 and "Traceback" not in seen.err and seen.out == ""
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", preset.names())
def test_preset(name):
    values = absl_flags.FlagValues()
    import_module("zoo.flags.train").define(values)
    program.parse(values, ["zoo-train", f"--preset={name}", "--seed=123"], "about")
    config = RunConfig.create(**program.settings(values))
    assert config.data.dataset == name.split("/")[0] and config.training.seed == 123
    cls, shape = model_class(config.model.model), DATASETS[config.data.dataset].image_shape
    resolved = cls.resolve(config.model, shape)
    for name, value in vars(config.model).items():
        assert value is None or getattr(resolved, name) == value
    assert set(cls.resolve_learning_rate(config.training.learning_rate)) == set(cls.players)


def test_a_flag_after_the_preset_overrides_it():
    for arguments in (
        ["--preset=color_mnist/vae", "--steps=7"],
        ["--steps=7", "--preset", "color_mnist/vae"],
    ):
        values = absl_flags.FlagValues()
        import_module("zoo.flags.train").define(values)
        program.parse(values, ["zoo-train", *arguments], "about")
        chosen = program.settings(values)
        assert chosen["steps"] == 7 and chosen["checkpoint_every"] == 5000


def test_from_training_to_report(tmp_path, capsys):
    run = tmp_path / "run"

    def say(name, *arguments):
        assert call(name, *arguments) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    assert "to step 4: " in say("train", *TINY, f"--run_dir={run}")
    assert "is finished: 4 steps" in say("train", *TINY, f"--run_dir={run}")

    measure = ["--metrics=elbo,marginal_kl,representation", "--num_samples=50"]
    assert "already" not in say("evaluate", f"--run_dir={run}", *measure)
    written = (run / "evaluation.json").read_bytes()
    said = say("evaluate", f"--run_dir={run}", *measure)
    assert "elbo: already measured" in said and "marginal_kl: already measured" in said
    assert (run / "evaluation.json").read_bytes() == written
    records = {r["metric"]: r for r in json.loads(written)["records"]}
    for record in records.values():
        fields = {"metric", "value", "standard_error", "n", "split", "step", "definition"}
        assert fields <= record.keys() and record["step"] == 4
        assert np.isfinite(record["value"]) and record["definition"]
    assert records["elbo"]["n"] == 50 and records["elbo"]["split"] == "test"
    parts = records["log_likelihood"]["value"] - records["kl"]["value"]
    assert records["elbo"]["value"] == pytest.approx(parts, rel=1e-5)

    say("sample", f"--run_dir={run}", "--num_samples=9", f"--output={tmp_path / 's.png'}")
    say("sample", f"--run_dir={run}", "--num_samples=9", f"--output={tmp_path / 's.npz'}")
    drawn = np.load(tmp_path / "s.npz")
    assert drawn["images"].shape == (9, 28, 28, 3) and drawn["images"].dtype == np.uint8
    assert drawn["z"].shape == (9, 3)
    with Image.open(tmp_path / "s.png") as image:
        np.testing.assert_array_equal(np.asarray(image)[30:58, :28], drawn["images"][3])

    say("export", f"--run_dir={run}", f"--output={tmp_path / 'served'}", "--name=tiny")
    served = tmp_path / "served" / "tiny" / "1"
    of_served = [f"--saved_model={served}", "--dataset=color_mnist_mini"]
    say("evaluate", *of_served, *measure, f"--output={tmp_path / 'served.json'}")
    again = json.loads((tmp_path / "served.json").read_text())["records"]
    for record in again:
        assert record["value"] == pytest.approx(records[record["metric"]]["value"], rel=1e-5)
    assert {r["metric"] for r in again} == set(records) and {r["step"] for r in again} == {4}

    assert call("evaluate", f"--run_dir={run}", "--metrics=fidelity") == 2
    assert "metric='fidelity' is not known" in capsys.readouterr().err
    assert (run / "evaluation.json").read_bytes() == written

    say("report", f"--run_dir={run}")
    page = (run / "report.html").read_text()
    assert f"{records['elbo']['value']:.6g}" in page and "data:image/png;base64," in page
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)


@pytest.mark.slow
def test_copies_and_classes_of_a_run(trained, tmp_path, capsys):
    """What takes both an encoder and samples, or labels, of a run that has learned nothing."""
    asked = ["--metrics=memorisation,probe", "--num_samples=100", f"--output={tmp_path / 'e.json'}"]
    assert call("evaluate", f"--run_dir={trained / 'run'}", *asked) == 0, capsys.readouterr().err
    content = json.loads((tmp_path / "e.json").read_text())
    records = {r["metric"]: r for r in content["records"]}
    assert records["memorisation"]["value"] > 0.05 < records["memorisation_data"]["value"]
    assert records["memorisation_reconstructions"]["n"] == 100
    # Three numbers of an untrained encoder tell less than 50 principal components.
    assert 0.05 < records["probe"]["value"] < records["probe_data"]["value"]
    assert records["probe_1_percent"]["details"] == {"labels": 40, "latent_size": 3}
    assert {p["file"].rsplit("-", 1)[0] for p in content["pictures"]} == {
        *("e/memorisation-tails", "e/memorisation-nearest", "e/probe-labels")
    }
