"""The zoo's Adam against Keras's, and against Adam's equations."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo.models.adam import Adam

SHAPES = [(3, 4), (5,)]
SETTINGS = {"learning_rate": 1e-2, "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-8}


def moved(make, steps=4, compiled=False, **settings):
    """An optimiser after some steps, and its variables."""
    generator = np.random.default_rng(2)
    variables = [keras.Variable(generator.standard_normal(s), dtype="float32") for s in SHAPES]
    optimizer = make(**{**SETTINGS, **settings})
    optimizer.build(variables)
    step = tf.function(lambda *g: optimizer.apply(list(g), variables), jit_compile=compiled)
    for _ in range(steps):
        step(*(tf.constant(generator.standard_normal(s), tf.float32) for s in SHAPES))
    return optimizer, variables


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"compiled": True},
        {"amsgrad": True},
        {"weight_decay": 0.1},
        {"global_clipnorm": 0.5},
        {"gradient_accumulation_steps": 2},
        {"use_ema": True},
        {"learning_rate": keras.optimizers.schedules.CosineDecay(1e-2, 10)},
    ],
    ids=lambda settings: "_".join(settings) or "plain",
)
def test_it_is_kerass(settings):
    (ours, variables), (other, expected) = (
        moved(make, **settings) for make in (Adam, keras.optimizers.Adam)
    )
    for one, two in zip([*variables, *ours.variables], [*expected, *other.variables], strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-7, err_msg=two.path)


def test_it_is_adam():
    """By NumPy in float64, one step from slots of zero: a step of the rate along the sign."""
    generator = np.random.default_rng(2)
    before = [generator.standard_normal(shape) for shape in SHAPES]
    gradients = [generator.standard_normal(shape) for shape in SHAPES]
    _, variables = moved(Adam, steps=1)
    for variable, start, gradient in zip(variables, before, gradients, strict=True):
        np.testing.assert_allclose(variable, start - 1e-2 * np.sign(gradient), rtol=1e-5, atol=1e-7)


def test_kerass_slots_are_its_own():
    """What Keras's Adam left, it goes on with, as if Keras's had."""
    (one, theirs), (other, expected) = (moved(keras.optimizers.Adam) for _ in range(2))
    ours = Adam(**SETTINGS)
    ours.build(theirs)
    for slot, value in zip(ours.variables, one.variables, strict=True):
        slot.assign(value)
    gradients = [tf.ones(shape) for shape in SHAPES]
    ours.apply(gradients, theirs)
    other.apply(gradients, expected)
    for mine, right in zip(theirs, expected, strict=True):
        np.testing.assert_allclose(mine, right, rtol=1e-5, atol=1e-7)


def test_a_model_has_it_and_may_have_another():
    model = zoo.VAE(image_shape=(16, 16, 1), width=0.06, latent_size=2)
    model.compile()
    assert {type(optimizer) for optimizer in model.optimizers.values()} == {Adam}
    model = zoo.VAE(image_shape=(16, 16, 1), width=0.06, latent_size=2)
    model.compile(optimizers={"encoder": keras.optimizers.Adam(1e-3)})
    assert type(model.optimizers["encoder"]) is keras.optimizers.Adam
