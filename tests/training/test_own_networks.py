"""Networks of one's own in a run folder: trained, gone on with, loaded, and refused where they come
from a stranger."""

import json
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.layers import Dense, Flatten, Lambda, Reshape

import zoo
from tests.flags.in_process import call
from tests.models.test_own_networks import IMAGES, SHAPE, Subclassed, critic, decoder, trunk
from zoo.errors import UsageError
from zoo.networks import kept

SETTINGS = {"steps": 3, "batch_size": 4, "log_every": 1, "checkpoint_every": 2}
SETTINGS |= {"strategy": "one_device"}
PIXELS = np.random.default_rng(0).integers(0, 256, (40, *SHAPE), np.uint8)


def networks():
    keras.utils.set_random_seed(3)
    return {"encoder": trunk(), "decoder": decoder()}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own") / "run"
    return zoo.train(folder, model="vae", images=PIXELS, **networks(), **SETTINGS)


@pytest.fixture
def copy(run, tmp_path):
    return shutil.copytree(run.path, tmp_path / "run")


def test_a_run_has_them(run):
    model = zoo.load_run(run.path).model
    assert model.config.network is None and model.latent_size == 3
    assert [layer.name for layer in model.decoder.layers][-1] == "my_decoder"
    assert set(json.loads((run.path / "networks.json").read_text())["networks"]) == {
        "encoder",
        "decoder",
    }
    given = zoo.VAE(image_shape=SHAPE, **networks())
    begun = dict(np.load(run.path / "checkpoints/step-00000000/state.npz"))
    for name, variable in given.network_state.items():
        if "my_" in name or name.startswith("decoder"):
            np.testing.assert_array_equal(begun[name], variable.numpy(), err_msg=name)


def test_what_is_made_of_a_run_has_them(run, tmp_path):
    """With the weights that they had there."""
    fitted = zoo.fit_prior(run, "gmm_full_10", tmp_path / "fitted")
    pretrained = zoo.save_pretrained(zoo.load_run(run.path), tmp_path / "pretrained")
    z = np.random.default_rng(1).standard_normal((4, 3)).astype(np.float32)
    images = zoo.load_run(run.path).model.decode(z)["images"]
    for folder in (fitted.path, pretrained):
        found = zoo.load_run(folder).model
        np.testing.assert_array_equal(found.decode(z)["images"], images)
        assert found.config.network is None and found.sample(2)["images"].shape == (2, *SHAPE)


def test_it_goes_on_with_them_or_without(run, tmp_path):
    """To the bits of the run that was not stopped, whoever gives them again."""
    straight = zoo.train(
        tmp_path / "straight", model="vae", images=PIXELS, **networks(), **SETTINGS | {"steps": 5}
    )
    for name in ("with", "without"):
        copy = shutil.copytree(run.path, tmp_path / name)
        if name == "with":
            again = {"images": PIXELS, **networks(), **SETTINGS}
            other = zoo.train(copy, model="vae", **again | {"steps": 5})
        else:
            other = zoo.train(copy, steps=5)
        assert other.model.fingerprint == straight.model.fingerprint


def test_a_model_is_trained_as_a_copy(tmp_path):
    model = zoo.DCGAN(image_shape=SHAPE, width=0.06, decoder=decoder(), image_critic=critic())
    before = model.fingerprint
    run = zoo.train(tmp_path / "run", model=model, images=PIXELS, **SETTINGS | {"steps": 1})
    assert model.fingerprint == before != run.model.fingerprint
    begun = dict(np.load(run.path / "checkpoints/step-00000000/state.npz"))
    for name, variable in model.network_state.items():
        np.testing.assert_array_equal(begun[name], variable.numpy(), err_msg=name)


def test_a_model_of_a_familys_networks_goes_on_from_its_weights(tmp_path):
    model = zoo.VAE(image_shape=SHAPE, width=0.06, latent_size=3)
    model.compile()
    model.train_on_batch(IMAGES)
    run = zoo.train(tmp_path / "run", model=model, images=PIXELS, **SETTINGS | {"steps": 1})
    begun = dict(np.load(run.path / "checkpoints/step-00000000/state.npz"))
    assert not (run.path / "networks.json").exists()
    for name, variable in model.network_state.items():
        np.testing.assert_array_equal(begun[name], variable.numpy(), err_msg=name)


def test_two_devices_train_them(tmp_path):
    """Though the networks were made for one."""
    settings = {**SETTINGS, "strategy": "mirrored", "steps": 1}
    given = {"encoder": Subclassed(name="mine"), "decoder": decoder()}
    run = zoo.train(tmp_path / "run", model="vae", images=PIXELS, **given, **settings)
    assert int(run.model.step.numpy()) == 1 and "mine" in run.model.encoder.trunk.layers[-1].name


def test_the_programs_take_them(copy, tmp_path, capsys):
    of = f"--run_dir={copy}"
    assert call("train", of, "--steps=4") == 0, capsys.readouterr().err
    assert call("evaluate", of, "--metrics=elbo", "--num_samples=2") == 0
    assert call("export", of, f"--output={tmp_path / 'served'}", "--name=own") == 0
    served = tf.saved_model.load(str(tmp_path / "served/own/1")).signatures
    z = np.random.default_rng(1).standard_normal((2, 3)).astype(np.float32)
    images = served["decode"](z=tf.constant(z))["images"]
    np.testing.assert_allclose(images, zoo.load_run(copy).model.decode(z)["images"], rtol=1e-5)


def test_what_is_another_run(copy, tmp_path):
    again = {"model": "vae", "images": PIXELS, **SETTINGS, "steps": 5}
    with pytest.raises(UsageError, match="networks of one's own: decoder, encoder -> decoder, enc"):
        zoo.train(copy, encoder=trunk(7), decoder=decoder(), **again)
    plain = tmp_path / "plain"
    zoo.train(plain, width=0.06, latent_size=3, **{**again, "steps": 1})
    with pytest.raises(UsageError, match="holds another run: networks of one's own: none -> enc"):
        zoo.train(plain, width=0.06, latent_size=3, encoder=trunk(), **again)


class Unregistered(keras.layers.Layer):
    def call(self, x):
        return x


def with_layer(layer):
    stack = [keras.Input((3,)), layer, Dense(384), Reshape(SHAPE)]
    return keras.Sequential(stack)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (lambda: {"decoder": with_layer(Lambda(lambda x: x))}, "decoder has a Lambda, which runs"),
        (
            lambda: {"decoder": with_layer(Unregistered())},
            "has the class .*Unregistered of .*regis",
        ),
        (lambda: {"model": 3}, "model is a int: expected a name, as vae, or a generative model"),
        (
            lambda: {"model": zoo.VAE(image_shape=(16, 16, 1), width=0.06)},
            r"the model is for images \(16, 16, 1\), array has \(16, 24, 1\)",
        ),
        (
            lambda: {"model": zoo.VAE(image_shape=SHAPE, width=0.06), "width": 0.5},
            "width=0.5 does not apply to a model that is given",
        ),
        (lambda: {"model": "vae", "image_critic": critic()}, "vae has no image_critic"),
    ],
)
def test_what_cannot_be_trained_is_told_in_one_line(tmp_path, arguments, message):
    with pytest.raises(UsageError, match=message) as error:
        zoo.train(tmp_path / "run", images=PIXELS, **SETTINGS, **arguments())
    assert "\n" not in str(error.value) and not (tmp_path / "run").exists()


def test_a_start_that_was_killed_before_there_were_weights(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("zoo.training.loop.load_state", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            zoo.train(tmp_path, model="vae", images=PIXELS, **networks(), **SETTINGS)
    with pytest.raises(UsageError, match="no checkpoint of their weights yet: expected zoo.train"):
        zoo.train(tmp_path, steps=5)
    zoo.train(tmp_path, model="vae", images=PIXELS, **networks(), **SETTINGS | {"steps": 1})


# ---- A folder from a stranger --------------------------------------------------------------------


def lambda_layer(tmp_path):
    marker = str(tmp_path / "ran")
    layer = Lambda(lambda x: open(marker, "w").close() or x)
    return keras.saving.serialize_keras_object(layer)


def call_of(module, name, /, **config):
    return lambda _: {"module": module, "class_name": name, "config": config}


HOSTILE = {
    "a lambda": lambda_layer,
    "a module": call_of("antigravity", "Fly"),
    "a function of os": call_of("os", "system", command="touch ran"),
    "a download": call_of("keras.utils", "get_file", fname="x", origin="file:///etc/passwd"),
    "the end of safety": call_of("keras.config", "enable_unsafe_deserialization"),
    "a saved model": call_of("keras.layers", "TFSMLayer", filepath="evil"),
    "a pickle": call_of("keras.layers", "TorchModuleWrapper", module="evil"),
    "a file": call_of("keras.layers", "StringLookup", vocabulary="/etc/passwd"),
    "a compiled loss": lambda tmp_path: {
        "module": "keras.layers",
        "class_name": "Flatten",
        "config": {"inner": call_of("os", "system")(tmp_path)},
    },
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_stranger_s_networks_run_nothing(copy, tmp_path, name, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = copy / "networks.json"
    content = json.loads(file.read_text())
    content["networks"]["decoder"]["config"]["layers"].insert(1, HOSTILE[name](tmp_path))
    file.write_text(json.dumps(content))
    for program, output in (("sample", "s.png"), ("export", "served")):
        more = ["--name=m"] if program == "export" else []
        assert call(program, f"--run_dir={copy}", f"--output={output}", *more) == 2
        line = capsys.readouterr().err
        assert "networks.json: decoder has " in line and line.count("\n") == 1, line
    assert "antigravity" not in sys.modules and not (tmp_path / "ran").exists()


@pytest.mark.parametrize("damage", ["[]", '{"networks": []}', '{"networks": {"janitor": {}}}', "{"])
def test_a_damaged_file_is_told(copy, damage):
    (copy / "networks.json").write_text(damage)
    with pytest.raises(UsageError, match=r"networks\.json (is damaged|cannot be read)"):
        zoo.load_run(copy).model  # noqa: B018


def test_what_keras_cannot_build_is_told(copy):
    file = copy / "networks.json"
    file.write_text(file.read_text().replace('"units": 48', '"units": -48'))
    with pytest.raises(UsageError, match="networks.json: decoder cannot be built: ") as error:
        zoo.load_run(copy).model  # noqa: B018
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_a_class_of_one_s_own_has_to_be_registered(tmp_path):
    given = {"encoder": Subclassed(name="mine"), "decoder": decoder()}
    run = zoo.train(
        tmp_path / "run", model="vae", images=PIXELS, **given, **SETTINGS | {"steps": 1}
    )
    code = f"import zoo; zoo.load_run({str(run.path)!r}).model"
    elsewhere = [sys.executable, "-c", code]
    ended = subprocess.run(elsewhere, capture_output=True, text=True)
    assert ended.returncode == 1
    assert "encoder has the class tests>Subclassed of " in ended.stderr.splitlines()[-1]
    code = f"import tests.models.test_own_networks; {code}"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_names_that_keras_counts_do_not_matter():
    one, other = (keras.saving.serialize_keras_object(trunk()) for _ in range(2))
    assert one != other and kept.comparable(one) == kept.comparable(other)
    wider = keras.saving.serialize_keras_object(trunk(7))
    assert kept.comparable(one) != kept.comparable(wider)
    flat = keras.Sequential([keras.Input(SHAPE), Flatten()])
    assert kept.comparable(keras.saving.serialize_keras_object(flat)) != kept.comparable(one)
