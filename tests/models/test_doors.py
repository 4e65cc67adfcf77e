"""What users hand to a model: right images of every kind are taken, wrong ones told in one line."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo.errors import UsageError
from zoo.noise import row_noise

GREYS = np.random.default_rng(0).integers(0, 256, (8, 28, 28, 3), dtype=np.uint8)
FLOATS = GREYS.astype(np.float32) / np.float32(255)
SEEDS = tf.range(8)


@pytest.fixture(scope="module")
def model():
    model = zoo.create_model("vae", latent_size=2, width=0.06)
    model.compile({"all": 1e-6})
    return model


def spoiled(value):
    images = FLOATS.copy()
    images[3, 2, 1, 0] = value
    return images


# Each of these takes images; what it gives has a row each, or is one number.
DOORS = {
    "encode": lambda model, images: model.encode(images)["z"],
    "sample_posterior": lambda m, images: m.sample_posterior(images, row_noise(SEEDS))["z"],
    "elbo": lambda model, images: model.elbo(images, row_noise(SEEDS))["elbo"],
    "evaluate": lambda model, images: model.evaluate(
        images, batch_size=8, return_dict=True, verbose=0
    )["elbo"],
    "fit": lambda model, images: model.fit(images, batch_size=8, verbose=0).history["elbo"][0],
    "fit a data set": lambda model, images: model.fit(
        tf.data.Dataset.from_tensor_slices(images).batch(4), shuffle=False, verbose=0
    ).history["elbo"][0],
    "validate": lambda model, images: model.fit(
        FLOATS, validation_data=images, batch_size=8, verbose=0
    ).history["val_elbo"][0],
}
every_door = pytest.mark.parametrize("door", DOORS)

SAME = {
    "float64": FLOATS.astype(np.float64),
    "tensor": tf.constant(FLOATS),
    "uint8": GREYS,
    "uint8 tensor": tf.constant(GREYS),
}


@every_door
@pytest.mark.parametrize("kind", SAME)
def test_images_of_every_kind_mean_the_same(model, door, kind):
    expected = DOORS[door](model, FLOATS)
    # Each call of `fit` takes one tiny step, and evaluation has another noise then.
    tolerance = 1e-6 if "fit" not in door and door != "validate" else 1e-2
    np.testing.assert_allclose(DOORS[door](model, SAME[kind]), expected, rtol=tolerance, atol=1e-6)


WRONG = {
    "0 to 255": (FLOATS * 255, "255"),
    "negative": (spoiled(-0.1), "-0.1"),
    "NaN": (spoiled(np.nan), "nan"),
    "infinite": (spoiled(np.inf), "inf"),
    "integers": (GREYS.astype(np.int64), "expected .*uint8"),
    "one image": (FLOATS[0], r"expected \[N, 28, 28, 3\]"),
    "smaller": (FLOATS[:, :20], r"expected \[N, 28, 28, 3\]"),
    "grey": (FLOATS[..., :1], r"expected \[N, 28, 28, 3\]"),
}


@every_door
@pytest.mark.parametrize("case", WRONG)
def test_wrong_images_are_told_in_one_line_before_the_first_step(model, door, case):
    images, message = WRONG[case]
    before = model.fingerprint
    with pytest.raises(UsageError, match=message) as error:
        DOORS[door](model, images)
    assert "\n" not in str(error.value)
    assert model.fingerprint == before


@pytest.mark.parametrize("door", ["encode", "evaluate", "fit"])
def test_no_images_are_told(model, door):
    with pytest.raises(UsageError, match=r"shape \[0, 28, 28, 3\]"):
        DOORS[door](model, FLOATS[:0])


@pytest.mark.parametrize(
    "z", [np.full((2, 2), np.nan), np.zeros((2, 3)), np.zeros(2), [["a", "b"]]], ids=str
)
def test_wrong_codes_are_told(model, z):
    with pytest.raises(UsageError, match="z "):
        model.decode(z)


def test_a_gradient_passes_the_door(model):
    images = tf.constant(FLOATS)
    with tf.GradientTape() as tape:
        tape.watch(images)
        value = tf.reduce_sum(model.encode(images)["mean"])
    assert np.abs(tape.gradient(value, images)).max() > 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image_shape": (28, 28)}, r"image_shape=\(28, 28\) is not accepted"),
        ({"image_shape": (28, 28, 0)}, "is not accepted"),
        ({"dataset": "cifar100"}, "dataset='cifar100'.*cifar10"),
        ({"dataset": "folder"}, "have a shape of their own"),
        ({"dataset": "cifar10", "image_shape": (28, 28, 3)}, "or a shape"),
        ({"steps": 5}, "unknown setting steps=5"),
        ({"dtype_policy": "float8"}, "dtype_policy='float8'"),
    ],
    ids=str,
)
def test_settings_that_do_not_apply_are_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        zoo.create_model("vae", **settings)


def test_a_data_set_gives_its_shape():
    model = zoo.create_model("vae", dataset="cifar10", width=0.1)
    assert model.image_shape == (32, 32, 3) and model.latent_size == 128


@pytest.fixture
def strange_settings():
    """What a `keras.json` may hold."""
    before = keras.config.floatx(), keras.config.image_data_format()
    keras.config.set_floatx("float16")
    keras.config.set_image_data_format("channels_first")
    yield
    keras.config.set_floatx(before[0])
    keras.config.set_image_data_format(before[1])


def test_the_users_own_keras_settings_change_nothing(strange_settings):
    model = zoo.create_model("vae", latent_size=2, width=0.06)
    model.compile({"all": 1e-3})
    history = model.fit(FLOATS, batch_size=4, shuffle=False, verbose=0).history
    assert {v.dtype for v in model.variables} <= {"float32", "int64"}
    assert keras.config.floatx() == "float16"
    keras.config.set_floatx("float32")
    keras.config.set_image_data_format("channels_last")
    other = zoo.create_model("vae", latent_size=2, width=0.06)
    other.compile({"all": 1e-3})
    assert other.fit(FLOATS, batch_size=4, shuffle=False, verbose=0).history == history
    assert other.fingerprint == model.fingerprint
