"""What Keras promises of a model that is kept: files, exports and backups."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from tests.models.plain_keras import IMAGES, TINY, assert_same, every_kind, model_of, values
from tests.models.training import compiled
from zoo.errors import UsageError
from zoo.noise import row_seeds


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("vae", {"dtype_policy": "mixed_bfloat16"}),
        ("wgan_gp", {"critic_updates": 2}),
        ("vgh_plus_plus", {}),
    ],
)
def test_a_saved_model_goes_on_as_if_nothing_had_been(name, settings, tmp_path):
    straight = zoo.create_model(name, **TINY, **settings)
    schedule = keras.optimizers.schedules.ExponentialDecay(1e-2, 1, 0.5)
    rates = {"learning_rate": schedule, "optimizers": {"decoder": keras.optimizers.SGD(1e-3)}}
    straight.compile(**rates, seed=5, run_eagerly=True)
    straight.fit(IMAGES, batch_size=4, verbose=0)
    straight.save(tmp_path / "model.keras")
    for loaded in (
        keras.models.load_model(tmp_path / "model.keras"),
        zoo.load_model(tmp_path / "model.keras"),
    ):
        assert_same(values(loaded), values(straight))
        assert loaded.decoder.dtype_policy.name == straight.decoder.dtype_policy.name
        assert loaded.compiled and loaded.seed == 5
    straight.fit(IMAGES, batch_size=4, shuffle=False, verbose=0)
    loaded.fit(IMAGES, batch_size=4, shuffle=False, verbose=0)
    assert_same(values(loaded), values(straight))


TRAIN = """
import sys
import numpy as np
import zoo
first, last, come_from, go_to = sys.argv[1:]
images = np.random.default_rng(0).random((16, 28, 28, 3)).astype("float32")
if come_from == "-":
    model = zoo.VAE(latent_size=3, width=0.06, seed=2)
    model.compile(learning_rate=1e-3)
else:
    model = zoo.load_model(come_from)
batches = images.reshape(4, 4, 28, 28, 3)
for i in range(int(first), int(last)):
    model.fit(batches[i], batch_size=4, verbose=0)
model.save(go_to)
"""


@pytest.mark.slow
def test_two_steps_and_two_in_a_new_process_are_four(tmp_path):
    def train(*arguments):
        subprocess.run([sys.executable, "-c", TRAIN, *map(str, arguments)], check=True)

    straight, first, second = (tmp_path / f"{name}.keras" for name in ("four", "first", "second"))
    train(0, 4, "-", straight)
    train(0, 2, "-", first)
    train(2, 4, first, second)
    one, other = zoo.load_model(straight), zoo.load_model(second)
    assert int(one.step.numpy()) == 4
    assert_same(values(one), values(other))


def test_the_classifier_is_a_keras_model_of_images_and_labels(tmp_path):
    labels = np.arange(8, dtype=np.int32) % 3
    straight = zoo.create_model("classifier", classes=3, width=0.03)
    straight.compile(run_eagerly=True)
    straight.fit(IMAGES, labels, 4, validation_data=(IMAGES, labels), verbose=0)
    straight.save(tmp_path / "model.keras")
    loaded = zoo.load_model(tmp_path / "model.keras")
    for model in (straight, loaded):
        model.fit(IMAGES, labels, batch_size=4, shuffle=False, verbose=0)
    assert_same(values(loaded), values(straight))
    batches = tf.data.Dataset.from_tensor_slices((IMAGES, labels)).batch(4)
    measured = loaded.evaluate(batches, verbose=0, return_dict=True)
    predicted = loaded.predict(batches, verbose=0)
    np.testing.assert_allclose(predicted.sum(axis=1), 1, rtol=1e-5)
    assert measured["accuracy"] == pytest.approx(np.mean(predicted.argmax(axis=1) == labels))
    with pytest.raises(UsageError, match="a classifier learns from labels"):
        loaded.fit(IMAGES, verbose=0)
    with pytest.raises(UsageError, match="makes no images and has no signatures"):
        loaded.export(tmp_path / "saved")


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "is no file"), (b"no zip", "it is no .keras file, which is a zip")],
)
def test_a_file_that_cannot_be_loaded_is_told(content, message, tmp_path):
    file = tmp_path / "model.keras"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError, match=message) as error:
        zoo.load_model(file)
    assert "\n" not in str(error.value)


@every_kind
def test_export_has_the_signatures_of_the_zoo(name, tmp_path):
    model = compiled({"model": name})
    model.export(tmp_path / "saved")
    signatures = tf.saved_model.load(str(tmp_path / "saved")).signatures
    assert set(signatures) == {*model.available_signatures, "serving_default"}
    drawn = signatures["sample"](seed=tf.constant(row_seeds(0, 0, 4)))
    expected = model.sample(4, seed=0)
    for key in ("images", "z"):
        np.testing.assert_allclose(drawn[key], expected[key], atol=1e-6)


class Killed(Exception):
    pass


def test_backup_and_restore_goes_on(tmp_path):
    def fit(model, *callbacks):
        backup = keras.callbacks.BackupAndRestore(tmp_path)
        model.fit(
            IMAGES, batch_size=4, epochs=3, shuffle=False, verbose=0, callbacks=[*callbacks, backup]
        )
        return model

    def kill(epoch, logs):
        if epoch == 2:
            raise Killed

    straight = model_of("vgh_plus_plus")
    straight.fit(IMAGES, batch_size=4, epochs=3, shuffle=False, verbose=0)
    with pytest.raises(Killed):
        fit(model_of("vgh_plus_plus"), keras.callbacks.LambdaCallback(on_epoch_begin=kill))
    assert_same(values(fit(model_of("vgh_plus_plus", seed=9))), values(straight))
