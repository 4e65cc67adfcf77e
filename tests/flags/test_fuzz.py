"""Any command line either does its work or is refused: one line, exit code 2, nothing written."""

import os
import shutil
import tempfile
from pathlib import Path
from unittest import mock

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

import zoo.data
from tests.flags.conftest import TINY
from tests.flags.in_process import call, contents
from zoo.config import RunConfig
from zoo.data.images import ImageDataset, Split
from zoo.models import model_class
from zoo.registry import MODELS
from zoo.run import Run
from zoo.training import loop

NASTY = [
    *("", " ", "-1", "0", "1", "2", "-0", "nan", "inf", "-inf", "1e999", "1e39", "-1e-400"),
    *("9" * 30, "9" * 5000, "2147483648", "0x10", "1_000", "٣", "½", "²", "1.5", "1,2", "1=2"),
    *("None", "null", "true", "False", "yes", "日本", "a b", "a\nb", "\t", "x" * 300, "x" * 5000),
    *("--", "--steps=1", "=", "==", ",", ",,", "*?[]", "\\", '"', "'", "a\udcffb", "%s", "{}"),
    *("all", "encoder=1", "encoder=1e-3,decoder=nan", "=1e-3", "1e-3,1e-3", "é", "-", "#", "a/"),
]
# Where a program may read or write: nothing outside of its folder, or that could be written.
PLACES = [
    *("new", "run", "deep/er/run", "a b", "a\nb", "日本", "é", "", ".", "-", "--", ".hidden", "*"),
    *("a[b]", "a\udcffb", "x" * 300, "file", "file/run", "folder", "/proc/none", "/dev/null"),
]
PATHS = ("run_dir", "data_dir", "output", "runs", "saved_model", "runs_dir", "feature_extractor")
PATHS += ("samples", "evaluation", "reconstruct")
LETTERS = st.characters(exclude_characters="/~\0", exclude_categories=[])

GOOD = {
    "model": [*MODELS],
    "dataset": ["color_mnist_mini", "color_mnist", "cifar10", "celeb_a", "folder"],
    "likelihood": ["bernoulli", "quantized_normal", "categorical"],
    "posterior": ["gaussian", "real_nvp", "deterministic", "implicit"],
    "strategy": ["auto", "one_device", "mirrored"],
    "dtype_policy": ["float32", "mixed_bfloat16"],
    "learning_rate": ["1e-3", "encoder=1e-3", "decoder=1e-3,image_critic=1e-4"],
    "dequantization": ["uniform", "none"],
    "adversarial_loss": ["non_saturating", "reverse_kl"],
    "preset": ["color_mnist_mini/vae", "cifar10/aae", "color_mnist/none"],
    "flagfile": ["none.flags", "folder", "/dev/null", "file", "binary"],
    "metrics": ["elbo", "all", "elbo,elbo", "marginal_kl"],
    "split": ["test", "validation", "train"],
    "signatures": ["decode", "sample,decode", "elbo"],
    "name": ["tiny", "..", ".", "a/b", "a b", "日本"],
    "num_samples": ["1", "2", "3"],
    **dict.fromkeys(("jit_compile", "skip_broken", "flow_context", "list_models"), ["true", "no"]),
    "adaptive_contrast": ["true", "false"],
}
NUMBERS = ["1", "2", "3", "4", "8", "0", "0.5", "2147483647"]


def argument(names):
    """One flag in one of the ways to write it, with a value that may or may not be good."""

    def written(name):
        if name in PATHS:
            value = st.sampled_from(PLACES) | st.text(LETTERS, max_size=6)
        else:
            odd = st.sampled_from(NASTY) | st.text(LETTERS, max_size=6)
            value = st.sampled_from(GOOD.get(name, NUMBERS)) | odd
        with_value = value.map(lambda v: [f"--{name}={v}"]) | value.map(lambda v: [f"--{name}", v])
        bare = st.sampled_from([[f"--{name}"], [f"--no{name}"], [f"-{name}"]])
        return st.integers(0, 9).flatmap(lambda i: bare if i == 0 else with_value)

    strays = st.sampled_from([["stray"], ["--"], ["-x"], ["--=1"], ["--unheard=1"], [""]])
    return st.integers(0, 19).flatmap(
        lambda i: strays if i == 0 else st.sampled_from(sorted(names)).flatmap(written)
    )


def command_lines(base, names, most):
    """A sound command line with a few arguments set among it, which repeat or contradict it."""
    flags = st.lists(argument([*names, "flagfile"]), min_size=1, max_size=most)
    return st.tuples(flags, st.integers(0, len(base))).map(
        lambda drawn: [*base[: drawn[1]], *(a for f in drawn[0] for a in f), *base[drawn[1] :]]
    )


def flag_names(program):
    from importlib import import_module

    from absl import flags

    values = flags.FlagValues()
    import_module(f"zoo.flags.{program}").define(values)
    return sorted(name for name in values if not name.startswith("list_"))


class Reached(Exception):
    """The command line was taken: what it asks for would begin now."""


@pytest.fixture
def place():
    """Makes a fresh working directory with a file, a folder of other things and odd flag files."""
    before = os.getcwd()
    made = []

    def make():
        folder = Path(tempfile.mkdtemp(prefix="zoo-fuzz-"))
        made.append(folder)
        (folder / "file").write_text("text")
        (folder / "folder").mkdir()
        (folder / "folder" / "thesis.tex").touch()
        (folder / "binary").write_bytes(b"\xff\xfe\0--steps=3\n")
        os.chdir(folder)
        return folder

    yield make
    os.chdir(before)
    for folder in made:
        shutil.rmtree(folder)


def check(capsys, program, line, folder):
    """Runs a command line; returns its exit code, None where it was taken."""
    before = contents(folder)
    capsys.readouterr()
    try:
        code = call(program, *line)
    except Reached:
        return None
    error = capsys.readouterr().err
    assert code in (0, 2), error
    if code == 2:
        assert error.startswith(f"zoo-{program}: ") and error.count("\n") == 1, error
        diverged = "training stopped at step" in error
        assert diverged or contents(folder) == before, error
    return code


settings = hypothesis.settings(
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)


def fake_dataset(config, real=zoo.data.load_dataset, made={}):  # noqa: B006  kept on purpose
    """The mini set is made once; for those that need a download, a few random images."""
    if config.dataset in ("color_mnist", "cifar10", "celeb_a"):
        side = {"color_mnist": 28, "cifar10": 32, "celeb_a": 64}[config.dataset]
        images = np.zeros((8, side, side, 3), np.uint8)
        return ImageDataset(config.dataset, dict.fromkeys(("train", "test"), Split(images)), {})
    if config.data_dir is None and config.dataset == "color_mnist_mini":
        return made.setdefault("mini", real(config)) if "mini" not in made else made["mini"]
    return real(config)


def test_training_is_begun_or_refused(capsys, place):
    """All flags of zoo-train, up to where a model would be built."""
    taken = []

    def reached(*_, **__):
        raise Reached

    @hypothesis.settings(settings, max_examples=300)
    @hypothesis.given(command_lines([*TINY, "--run_dir=new"], flag_names("train"), 3))
    def fuzz(line):
        code = check(capsys, "train", line, place())
        assert code in (None, 2) or "help" in str(line)
        taken.append(code is None)

    with (
        mock.patch.object(loop, "load_dataset", fake_dataset),
        mock.patch.object(loop, "build_model", reached),
    ):
        fuzz()
    assert 5 < sum(taken) < 295  # both kinds came up


def test_reporting_is_done_or_refused(capsys, place):
    @hypothesis.settings(settings, max_examples=60)
    @hypothesis.given(command_lines(["--run_dir=run"], flag_names("report"), 2))
    def fuzz(line):
        folder = place()
        Run.create_or_resume(folder / "run", RunConfig.create(), "0" * 16, (28, 28, 3))
        check(capsys, "report", line, folder)

    fuzz()


MODEL_SETTINGS = {
    "kl_weight": ["0", "1", "5.5", "1e30"],
    "dequantization": GOOD["dequantization"],
    "adversarial_loss": GOOD["adversarial_loss"],
    "critic_updates": ["1", "2"],
    **dict.fromkeys(("flow_context", "adaptive_contrast"), ["true", "false"]),
}
TRAINING_SETTINGS = {
    "batch_size": ["1", "2", "7"],
    "width": ["1e-9", "0.05"],
    "latent_size": ["1", "2", "5"],
    "learning_rate": ["1e-30", "1e-3", "3e38", "decoder=1"],
    "seed": ["0", "2147483647"],
    "strategy": ["auto", "one_device"],
    "dtype_policy": GOOD["dtype_policy"],
    "log_every": ["1", "2147483647"],
    "checkpoint_every": ["1", "2147483647"],
}


@st.composite
def sound_trainings(draw):
    """A model with settings that it has, and odd but sound settings of its training."""
    cls = model_class(draw(st.sampled_from(sorted(MODELS))))
    model = next(name for name in MODELS if model_class(name) is cls)
    choices = {"likelihood": cls.likelihoods, "posterior": cls.posteriors}
    choices |= {name: MODEL_SETTINGS.get(name, ["0.5"]) for name in (o.name for o in cls.options)}
    choices |= TRAINING_SETTINGS
    line = [f"--model={model}", "--steps=1"]
    for name, values in sorted(choices.items()):
        if values and draw(st.booleans()):
            line.append(f"--{name}={draw(st.sampled_from(list(values)))}")
    return line


@pytest.mark.slow
def test_sound_flags_train_a_step(capsys, place):
    codes = []

    @hypothesis.settings(settings, max_examples=12)
    @hypothesis.given(sound_trainings())
    def fuzz(line):
        codes.append(check(capsys, "train", [*TINY, *line, "--run_dir=new"], place()))

    with mock.patch.object(loop, "load_dataset", fake_dataset):
        fuzz()
    assert codes.count(0) >= 6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "base", "examples"),
    [
        ("evaluate", ["--run_dir=run", "--metrics=elbo", "--num_samples=3"], 40),
        ("encode", ["--run_dir=run", "--output=a.npz"], 20),
        ("sample", ["--run_dir=run", "--num_samples=2", "--output=a.png"], 40),
        ("sample", ["--saved_model=served", "--num_samples=2", "--output=a.npz"], 20),
        ("export", ["--run_dir=run", "--output=out", "--name=tiny", "--signatures=decode"], 30),
    ],
)
def test_results_are_written_or_refused(capsys, place, trained, program, base, examples):
    @hypothesis.settings(settings, max_examples=examples)
    @hypothesis.given(command_lines(base, flag_names(program), 3))
    def fuzz(line):
        folder = place()
        shutil.copytree(trained / "run", folder / "run")
        shutil.copytree(trained / "served" / "tiny" / "1", folder / "served")
        check(capsys, program, line, folder)

    with mock.patch.object(zoo.data, "load_dataset", fake_dataset):
        fuzz()
