"""Networks of the user's own in the place of the family's."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.layers import (
    BatchNormalization,
    Conv2D,
    Conv2DTranspose,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    LeakyReLU,
    ReLU,
    Reshape,
)

import zoo
from zoo.errors import UsageError

SHAPE = (16, 24, 1)
IMAGES = np.random.default_rng(0).random((8, *SHAPE), np.float32)


def trunk(features=6):
    stack = [keras.Input(SHAPE), Conv2D(4, 5, 2), BatchNormalization(), ReLU()]
    stack += [GlobalAveragePooling2D(), Dropout(0.2), Dense(features)]
    return keras.Sequential(stack, name="my_trunk")


def decoder(latent_size=3, channels=1):
    stack = [keras.Input((latent_size,)), Dense(48), Reshape((4, 6, 2))]
    return keras.Sequential([*stack, Conv2DTranspose(channels, 4, 4)], name="my_decoder")


def critic(features=5):
    images = keras.Input(SHAPE)
    maps = LeakyReLU()(Conv2D(4, 5, 2)(images))
    return keras.Model(images, Dense(features)(GlobalAveragePooling2D()(maps)), name="my_critic")


@keras.saving.register_keras_serializable(package="tests")
class Subclassed(keras.Model):
    """A model that is not built before it is called."""

    def __init__(self, features=6, **kwargs):
        super().__init__(**kwargs)
        self.features = features
        self.mean, self.dense = GlobalAveragePooling2D(), Dense(features)

    def call(self, images):
        return self.dense(self.mean(images))

    def get_config(self):
        return {**super().get_config(), "features": self.features}


MODELS = {
    "vae": lambda: {"encoder": trunk(), "decoder": decoder()},
    "vae of a subclass": lambda: {"encoder": Subclassed(name="mine"), "decoder": decoder()},
    "wgan_gp": lambda: {"decoder": decoder(), "image_critic": critic()},
    "sngan": lambda: {"decoder": decoder(), "image_critic": trunk()},
    "dcgan of logits": lambda: {"decoder": decoder(), "image_critic": critic(1)},
    "vgh": lambda: {"encoder": trunk(), "decoder": decoder(), "image_critic": critic()},
    "vae_gan": lambda: {"encoder": trunk(), "decoder": decoder(), "image_critic": critic()},
    "veegan": lambda: {"encoder": trunk(), "decoder": decoder(), "image_critic": critic()},
}


def make(name):
    keras.utils.set_random_seed(2)  # of the networks, which are made before the model
    return zoo.create_model(name.split()[0], image_shape=SHAPE, width=0.06, **MODELS[name]())


@pytest.mark.parametrize("name", MODELS)
def test_they_are_trained_and_saved(name, tmp_path):
    model = make(name)
    assert model.latent_size == 3 and model.config.network is None
    model.compile(learning_rate=1e-3)
    before = {key: variable.numpy() for key, variable in model.state.items()}
    for _ in range(2):
        logs = model.train_on_batch(IMAGES, return_dict=True)
    assert np.isfinite([*logs.values()]).all()
    kernels = [key for key in before if key.endswith("kernel") and "optimizer" not in key]
    assert kernels and not any(np.array_equal(before[k], model.state[k].numpy()) for k in kernels)
    file = tmp_path / "model.keras"
    model.save(file)
    other = zoo.load_model(file)
    assert other.fingerprint == model.fingerprint
    np.testing.assert_array_equal(other.predict(IMAGES), model.predict(IMAGES))
    for key, value in model.state.items():  # the optimiser's slots too
        np.testing.assert_array_equal(other.state[key], value, err_msg=key)
    for one in (model, other):
        one.train_on_batch(IMAGES)
    for key, value in model.state.items():
        np.testing.assert_array_equal(other.state[key], value, err_msg=key)


def test_they_are_the_users_own():
    """Not copies: with the weights that they had, and those that training gives them."""
    mine = decoder()
    kernel = mine.layers[0].kernel.numpy()
    model = zoo.VAE(image_shape=SHAPE, encoder=trunk(), decoder=mine)
    z = np.random.default_rng(1).standard_normal((2, 3)).astype(np.float32)
    np.testing.assert_allclose(model.decode(z)["images"], tf.sigmoid(mine(z)), rtol=1e-6)
    model.compile()
    model.train_on_batch(IMAGES)
    assert not np.array_equal(mine.layers[0].kernel.numpy(), kernel)
    np.testing.assert_allclose(model.decode(z)["images"], tf.sigmoid(mine(z)), rtol=1e-6)


def test_a_critic_of_one_number_is_the_logit_itself():
    mine, images = critic(1), tf.constant(IMAGES)
    gan = zoo.DCGAN(image_shape=SHAPE, decoder=decoder(), image_critic=mine)
    np.testing.assert_array_equal(gan.image_critic(images), mine(images)[:, 0])
    other = zoo.DCGAN(image_shape=SHAPE, decoder=decoder(), image_critic=critic(5))
    kernel = other.image_critic.head.linear.kernel
    assert tuple(kernel.shape) == (5, 1) and other.image_critic(images).shape == (8,)


def test_the_family_has_the_rest():
    model = zoo.VAE(image_shape=SHAPE, width=0.06, latent_size=3, encoder=trunk())
    assert model.config.network == "dcgan"
    assert [layer.name for layer in model.encoder.trunk.layers][-1] == "my_trunk"
    assert model.decode(np.zeros((2, 3), np.float32))["images"].shape == (2, *SHAPE)


def test_complete_networks_may_be_for_images_that_no_family_is_for():
    encoder = keras.Sequential([keras.Input((9, 5, 6)), Flatten(), Dense(4)])
    mine = keras.Sequential([keras.Input((2,)), Dense(270), Reshape((9, 5, 6))])
    model = zoo.VAE(image_shape=(9, 5, 6), encoder=encoder, decoder=mine)
    assert model.sample(3)["images"].shape == (3, 9, 5, 6)
    with pytest.raises(UsageError, match=r"no networks for images of the shape \[9, 5, 6\]"):
        zoo.VAE(image_shape=(9, 5, 6), encoder=encoder)


def test_the_config_carries_them():
    model = make("vae")
    clone = zoo.VAE.from_config(model.get_config())
    assert clone.get_config() == model.get_config() and list(clone.state) == list(model.state)
    assert clone.fingerprint != model.fingerprint  # new weights, as Keras has it


def test_it_is_exported(tmp_path):
    model = make("vae")
    model.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(str(tmp_path / "served")).signatures
    assert {"decode", "encode", "sample", "sample_posterior", "elbo"} <= set(served)
    z = tf.random.stateless_normal((2, 3), (0, 1))
    images = served["decode"](z=z)["images"]
    np.testing.assert_allclose(images, model.decode(z)["images"], rtol=1e-5)


@pytest.mark.parametrize(
    ("model", "settings", "message"),
    [
        (
            "vae",
            {"encoder": decoder},
            r"encoder \(my_decoder\) takes \[N, 3\]: expected a network "
            r"\[N, 16, 24, 1\] -> \[N, F\]",
        ),
        (
            "vae",
            {"encoder": lambda: keras.Sequential([Conv2D(3, 3)])},
            r"gives \[N, 14, 22, 3\]: expected a network \[N, 16, 24, 1\] -> \[N, F\]",
        ),
        (
            "vae",
            {"encoder": lambda: keras.Sequential([Reshape((3, 5))])},
            r"\(sequential\w*\) does not take \[N, 16, 24, 1\]: The total size of the tensor",
        ),
        (
            "vae",
            {"decoder": lambda: decoder(channels=2)},
            r"\(my_decoder\) gives \[N, 16, 24, 2\]: expected .* \[N, 3\] -> \[N, 16, 24, 1\]",
        ),
        (
            "vae",
            {"decoder": decoder, "latent_size": 4},
            r"\(my_decoder\) takes \[N, 3\]: expected a network \[N, 4\] -> \[N, 16, 24, 1\]",
        ),
        (
            "vae",
            {"decoder": decoder, "likelihood": "quantized_normal"},
            r"gives \[N, 16, 24, 1\]: expected a network \[N, 3\] -> \[N, 16, 24, 2\]",
        ),
        (
            "vae",
            {"image_critic": critic},
            "vae has no image_critic: expected networks for encoder, decoder$",
        ),
        ("vae", {"encoder": lambda: "my_trunk"}, "encoder is of the type str: expected a Keras"),
        (
            "vae",
            {"encoder": trunk, "decoder": decoder, "network": "dcgan"},
            "vae has no option network",
        ),
        ("vae", {"encoder": trunk, "decoder": lambda: Subclassed(5)}, "latent_size is not known"),
        (
            "veegan",
            {"image_critic": lambda: critic(1)},
            r"image_critic gives \[N, 1\]: expected features \[N, F\], F > 1",
        ),
    ],
)
def test_what_does_not_fit_is_told_in_one_line(model, settings, message):
    made = {name: value() if callable(value) else value for name, value in settings.items()}
    with pytest.raises(UsageError, match=message) as refusal:
        zoo.create_model(model, image_shape=SHAPE, width=0.06, **made)
    assert "\n" not in str(refusal.value)
