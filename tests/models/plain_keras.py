"""Models as users of plain Keras make them."""

import numpy as np
import pytest

import zoo

IMAGES = np.random.default_rng(0).random((8, 28, 28, 3)).astype(np.float32)
TINY = {"latent_size": 3, "width": 0.06}
every_kind = pytest.mark.parametrize("name", ("vae", "wgan_gp", "vgh_plus_plus"))


def model_of(name, learning_rate=1e-3, **settings):
    model = zoo.create_model(name, **TINY, **settings)
    # Eager: at this size that is faster than tracing a step.
    model.compile(learning_rate=learning_rate, seed=0, run_eagerly=True)
    return model


def values(model):
    return {name: variable.numpy() for name, variable in model.state.items()}


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)
