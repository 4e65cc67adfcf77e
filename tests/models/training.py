"""Trains the tiny variants, eagerly: at this size that is faster than tracing a step."""

import numpy as np
import tensorflow as tf

from tests.models.variants import tiny_model

BATCH = 8
RATE = 1e-3
IMAGES = np.random.default_rng(0).random((6, BATCH, 28, 28, 3), np.float32)
LABELS = tf.range(BATCH, dtype=tf.int64)


def compiled(variant, rates=None, **kwargs):
    model = tiny_model(variant, **kwargs)
    # From N(0, 0.02) at this width signals vanish below rounding, which Adam would blow up.
    for variable in model.trainable_variables:
        if "kernel" in variable.name and "coupling" not in variable.path:
            variable.assign(7 * variable)  # but for a flow, which would grow exponentially
    model.compile(rates or {"all": RATE}, seed=1)
    return model


def batch(model, step):
    images = tf.constant(IMAGES[step % len(IMAGES)])
    if model.needs_labels:
        return images, LABELS
    return tf.stack([images] * model.passes, axis=1) if model.passes > 1 else images


def train(model, steps, step_function=None):
    """Trains from the model's own step for `steps` and returns the last metrics."""
    first = int(model.step.numpy())
    for step in range(first, first + steps):
        logs = (step_function or model.train_step)(batch(model, step))
    return {name: float(value) for name, value in logs.items()}


def trained(variant, steps=3):
    """A model of which every weight has moved away from where it started."""
    model = compiled(variant, rates={"all": 0.01}, seed=3)
    before = {name: variable.numpy() for name, variable in model.state.items()}
    train(model, steps)
    still = [n for n, v in model.state.items() if np.array_equal(v.numpy(), before[n])]
    assert set(still) <= {f"optimizer/{player}/1" for player in model.players}  # the rates
    return model
