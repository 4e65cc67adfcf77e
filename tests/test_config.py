import dataclasses
import math
from pathlib import Path

import pytest

from zoo.config import ModelConfig, RunConfig, TrainingConfig, parse_learning_rate
from zoo.errors import UsageError


def test_json_round_trip():
    config = RunConfig.create(model="vae", latent_size=7, learning_rate="encoder=1e-3", steps=5)
    assert RunConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("latent_size", 0),
        ("latent_size", 2.5),
        ("latent_size", True),
        ("latent_size", 2**31),
        ("latent_size", 10**400),
        ("latent_size", 65_537),
        ("kl_weight", 1e39),
        ("kl_weight", 10**400),
        ("learning_rate", "1e39"),
        ("data_dir", ""),
        ("data_dir", "a\0b"),
        ("data_dir", "a\udcffb"),
        ("width", math.nan),
        ("width", -1.0),
        ("kl_weight", math.inf),
        ("likelihood", "poisson"),
        ("steps", 0),
        ("seed", -1),
        ("strategy", "magic"),
        ("learning_rate", "encoder=fast"),
        ("learning_rate", -1.0),
        ("image_size", 32),
        ("unheard_of", 1),
    ],
)
def test_refuses_and_names_the_value(name, value):
    with pytest.raises(UsageError) as error:
        RunConfig.create(**{name: value})
    assert name in str(error.value)
    assert "expected" in str(error.value) or "applies to" in str(error.value)


def test_folder_needs_a_data_dir():
    with pytest.raises(UsageError, match="data_dir"):
        RunConfig.create(dataset="folder")


def test_steps_per_execution_must_divide():
    with pytest.raises(UsageError, match="steps_per_execution=3"):
        TrainingConfig(steps=100, steps_per_execution=3)


@pytest.mark.parametrize(
    ("value", "rates"),
    [
        (5e-4, {"all": 5e-4}),
        ("5e-4", {"all": 5e-4}),
        ("encoder=5e-4, decoder=1e-4", {"encoder": 5e-4, "decoder": 1e-4}),
        ({"encoder": 1e-3}, {"encoder": 1e-3}),
        ({}, {}),
    ],
)
def test_learning_rate(value, rates):
    assert parse_learning_rate(value) == rates


def test_differences_name_what_makes_another_run():
    one = RunConfig.create(latent_size=10, steps=100)
    other = RunConfig.create(latent_size=20, steps=200, strategy="mirrored", seed=3)
    assert one.differences(other) == ["latent_size: 10 -> 20", "seed: 0 -> 3"]


def test_every_setting_documents_itself():
    for section in (ModelConfig, TrainingConfig):
        for field in dataclasses.fields(section):
            assert field.metadata["help"].endswith(".")


def data_dir(value):
    return RunConfig.create(dataset="folder", data_dir=value).data.data_dir


def test_a_path_means_the_same_from_any_working_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    assert data_dir("photos") == data_dir("./photos/") == str(tmp_path / "deep" / "photos")
    assert data_dir("../photos") == str(tmp_path / "photos")
    assert data_dir(".") == str(tmp_path / "deep")
    assert data_dir("~/photos") == str(tmp_path / "home" / "photos")
    assert data_dir(tmp_path / "photos") == data_dir(Path("../photos")) == str(tmp_path / "photos")
    (tmp_path / "link").symlink_to("photos")
    assert data_dir("../link") == str(tmp_path / "photos")
    config = RunConfig.create(dataset="folder", data_dir="photos")
    monkeypatch.chdir(tmp_path)
    assert RunConfig.from_json(config.to_json()) == config


def test_an_address_is_no_path_of_this_machine():
    assert data_dir("gs://bucket/data") == "gs://bucket/data"


def test_another_place_of_the_data_is_the_same_run():
    runs = [RunConfig.create(dataset="folder", data_dir=place) for place in ("a", "b")]
    assert runs[0] != runs[1] and not runs[0].differences(runs[1])


def test_a_home_that_is_not_known_is_refused():
    with pytest.raises(UsageError, match="data_dir='~nobody-of-that-name/a' is not accepted"):
        data_dir("~nobody-of-that-name/a")
