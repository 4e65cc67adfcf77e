"""Losses that are a statistic of the whole batch: `gather` brings the other replicas' rows."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.training import BATCH, IMAGES
from zoo.models.base import PlayerModel
from zoo.training.strategy import make_strategy

STEPS = 3


class Spreader(PlayerModel):
    """Pulls the variance of its features over the batch towards one, and their mean to zero."""

    players = ("features",)
    terms = ("variance",)
    learning_rates = {"features": 1e-2}

    def _build_networks(self):
        initializer = keras.initializers.RandomNormal(stddev=0.05, seed=1)
        flat = keras.layers.Flatten()
        head = keras.layers.Dense(3, kernel_initializer=initializer)
        self.features = keras.Sequential([keras.Input(self.image_shape), flat, head])

    def losses(self, images, noise, training=True):
        features = self.features(images, training=training)
        features += 0.1 * noise.normal("jitter", (3,))
        variance = tf.math.reduce_variance(self.gather(features), axis=0)
        own = tf.reduce_mean(tf.square(features))  # a mean over examples takes the own rows
        loss = tf.reduce_sum(tf.square(variance - 1.0)) + own
        return {"features": loss}, {"variance": tf.fill([len(images)], tf.reduce_sum(variance))}


class Forgetful(Spreader):
    """Takes the own rows for the whole batch."""

    def gather(self, rows):
        return rows


def moments_and_logs(cls, replicas):
    """What Adam has seen of the gradients, the weights and the metrics after some steps of `fit`'s
    own train step, a `tf.function` of its own on each replica."""
    strategy = make_strategy("mirrored" if replicas == 2 else "one_device")
    assert strategy.num_replicas_in_sync == replicas
    with strategy.scope():
        model = cls(image_shape=(28, 28, 3))
        model.compile(seed=1)
    step = tf.function(model.train_step)

    @tf.function
    def run(parts):
        return strategy.run(step, args=(parts,))

    for i in range(STEPS):
        parts = strategy.experimental_distribute_values_from_function(
            lambda c, i=i: tf.split(IMAGES[i], replicas)[c.replica_id_in_sync_group]
        )
        run(parts)
    moments = [v.numpy() for v in model.optimizers["features"].variables]
    return moments, [w.numpy() for w in model.features.weights], model.results()


def test_a_statistic_of_the_batch_is_that_of_the_global_batch():
    for one, two in zip(*(moments_and_logs(Spreader, n)[:2] for n in (1, 2)), strict=True):
        for value, other in zip(one, two, strict=True):
            np.testing.assert_allclose(other, value, rtol=1e-4, atol=1e-6 * np.abs(value).max())


def test_without_the_other_rows_it_is_not():
    (one, *_, logs), (two, *_, other_logs) = (moments_and_logs(Forgetful, n) for n in (1, 2))
    assert other_logs["variance"] < 0.95 * logs["variance"]
    gradients, others = one[2], two[2]
    assert np.abs(others - gradients).max() > 0.02 * np.abs(gradients).max()


def test_the_metrics_agree():
    logs, other_logs = (moments_and_logs(Spreader, n)[2] for n in (1, 2))
    assert other_logs == pytest.approx(logs, rel=1e-4)


def test_one_replica_has_all_rows():
    model = Spreader(image_shape=(28, 28, 3))
    rows = tf.ones([BATCH, 2])
    assert model.gather(rows) is rows
