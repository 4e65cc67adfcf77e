"""Values on the command line: whole numbers in every way to write them, and mistyped words."""

from importlib import import_module

import pytest
from absl import flags as absl_flags

import zoo
from tests.flags.conftest import TINY
from tests.flags.in_process import call
from zoo.config import RunConfig
from zoo.errors import UsageError, expected_of
from zoo.flags import program


def parsed(name, *arguments):
    values = absl_flags.FlagValues()
    import_module(f"zoo.flags.{name}").define(values)
    program.parse(values, [f"zoo-{name}", *arguments], "about")
    return values


@pytest.mark.parametrize(
    ("text", "number"), [("1e5", 100_000), ("1E+3", 1000), ("12.0", 12), ("0x10", 16), ("7", 7)]
)
def test_whole_numbers(text, number):
    assert parsed("train", f"--steps={text}").steps == number
    assert parsed("sample", f"--num_samples={text}").num_samples == number
    assert parsed("serve", "--rest_port", text).rest_port == number


def test_a_whole_float_from_python_and_from_a_file():
    config = RunConfig.create(steps=1e5)
    assert config.training.steps == 100_000 and type(config.training.steps) is int
    assert (
        RunConfig.from_json(config.to_json() | {"training": {"steps": 2e3}}).training.steps == 2000
    )


@pytest.mark.parametrize("text", ["1.5", "1e-3", "nan", "inf", "1e400", "1e", "many", ""])
def test_what_is_no_whole_number(text, capsys):
    assert call("train", f"--steps={text}") == 2
    error = capsys.readouterr().err
    assert f"--steps={text}: expected a whole number" in error and error.count("\n") == 1


def test_the_axis_of_a_sweep_takes_the_same_numbers(tmp_path, capsys):
    for axis, message in (
        ("steps=1e", "expected a whole number"),
        ("stebs=1", "did you mean steps"),
    ):
        assert call("train", *TINY, f"--sweep={axis}", f"--run_dir={tmp_path / 'new'}") == 2
        assert message in capsys.readouterr().err


MISTYPED = {
    "a choice": (("train", "--strategy=mirorred"), "did you mean mirrored?"),
    "a data set": (("train", "--dataset=color_mnist_mimi"), "did you mean color_mnist_mini?"),
    "a preset": (("train", "--preset=color_mnist/vaee"), "did you mean color_mnist/vae?"),
    "a pretrained model": (
        ("sample", "--pretrained=vae_vamp", "--output=a.png"),
        "did you mean color_mnist_mini/vae_vamp?",
    ),
    "an experiment": (
        ("paper", "--experiment=posterior", "--output=o"),
        "did you mean posteriors?",
    ),
    "a scale": (("paper", "--scale=smal"), "did you mean small?"),
    "a flag": (("train", "--latentsize=3"), "Did you mean: latent_size"),
}


@pytest.mark.parametrize(("command", "message"), MISTYPED.values(), ids=MISTYPED)
def test_a_mistyped_word_is_told_what_it_resembles(command, message, capsys):
    assert call(*command) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1, error


def test_a_mistyped_model_and_metric(trained, tmp_path, capsys):
    assert call("train", *TINY, "--model=vaee", f"--run_dir={tmp_path / 'new'}") == 2
    assert "model='vaee' is not known: did you mean vae? expected" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
    assert call("evaluate", f"--run_dir={trained / 'run'}", "--metrics=elbow") == 2
    assert "metric='elbow' is not known: did you mean elbo? expected" in capsys.readouterr().err


def test_a_mistyped_word_in_python():
    with pytest.raises(UsageError, match="strategy='mirored' is not known: did you mean mirrored"):
        RunConfig.create(strategy="mirored")
    with pytest.raises(UsageError, match="unknown setting latentsize=3: did you mean latent_size"):
        zoo.create_model("vae", latentsize=3)
    assert expected_of("xyz", ["vae", "dcgan"]) == "expected one of vae, dcgan"
    assert expected_of("WGAN-GP", ["dcgan", "wgan_gp"]).startswith("did you mean wgan_gp? ")
