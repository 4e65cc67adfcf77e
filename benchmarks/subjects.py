"""The zoo's side of a comparison: compiled models, their steps, and batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.peers.specification import Specification
from zoo.config import ModelConfig
from zoo.models import build_model
from zoo.noise import step_noise

BATCH_SIZE = 64


def images(spec: Specification, batch_size: int = BATCH_SIZE) -> np.ndarray:
    """One batch `[N, H, W, 3]` in [0, 1]: the time of a step does not depend on what is in it."""
    return np.random.default_rng(0).random((batch_size, spec.side, spec.side, 3), np.float32)


def compiled(model: str, spec: Specification, **settings: Any) -> Any:
    """A new model on the networks of `spec`."""
    config = ModelConfig(model=model, **{"latent_size": spec.latent_size, **settings})
    built = build_model(config, (spec.side, spec.side, 3))
    built.compile()
    return built


def zoo_step(
    model: Any, spec: Specification, batch_size: int = BATCH_SIZE
) -> Callable[[], dict[str, Any]]:
    """The compiled train step on a constant batch, waited for."""
    batch, step = step_input(model, spec, batch_size), tf.function(model.train_step)
    return lambda: {name: value.numpy() for name, value in step(batch).items()}


def step_input(model: Any, spec: Specification, batch_size: int = BATCH_SIZE) -> tf.Tensor:
    """What a step of this model takes: one batch, or several along the second axis."""
    rows = images(spec, batch_size)
    return tf.constant(np.stack([rows] * model.passes, axis=1) if model.passes > 1 else rows)


def naive_step(model: Any, spec: Specification) -> Callable[[], Any]:
    """The same updates by a tape and a forward pass per player.

    It keeps no metrics and checks nothing, which is in its favour; each of its passes is all of
    `losses`, less what neither its loss nor batch norm's statistics need.
    """
    batch = tf.constant(images(spec))

    @tf.function
    def step(batch: tf.Tensor) -> None:
        model.step.assign_add(1)
        gradients = {}
        for player in model.players:
            noise = step_noise(model.seed, model.step.value, batch.shape[0])
            with tf.GradientTape() as tape:
                loss = model.losses(batch, noise, training=True)[0][player]
            variables = model.player_variables(player)
            gradients[player] = tape.gradient(loss, [v.value for v in variables])
        for player in model.players:
            model.optimizers[player].apply(gradients[player], model.player_variables(player))

    return lambda: step(batch)
