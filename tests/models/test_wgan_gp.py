"""The critic's schedule of WGAN-GP, and where its penalty is taken."""

import keras
import numpy as np
import tensorflow as tf

from tests.models.variants import tiny_model
from zoo.models import gan

ROWS, UPDATES = 4, 5


def test_five_updates_of_the_critic_on_fresh_batches_per_update_of_the_decoder(monkeypatch):
    model = tiny_model({"model": "wgan_gp"})
    model.compile(seed=1)
    images = tf.constant(np.random.default_rng(0).random((ROWS, UPDATES, 28, 28, 3), np.float32))
    losses, seen = model.losses, []

    def recorded(batch, noise, training):
        seen.append((batch, noise.normal("prior", (model.latent_size,))))
        return losses(batch, noise, training)

    monkeypatch.setattr(model, "losses", recorded)
    for _ in range(2):
        model.train_step(images)
    assert model.passes == UPDATES and len(seen) == 2 * UPDATES
    for i, (batch, _) in enumerate(seen):
        np.testing.assert_array_equal(batch, images[:, i % UPDATES])
    draws = np.stack([z for _, z in seen]).reshape(-1, model.latent_size)
    assert len(np.unique(draws, axis=0)) == 2 * UPDATES * ROWS
    updates = {p: int(o.iterations.numpy()) for p, o in model.optimizers.items()}
    assert updates == {"image_critic": 2 * UPDATES, "decoder": 2}
    assert int(model.step.numpy()) == 2


def test_the_penalty_is_taken_at_a_point_of_its_own_for_each_example(monkeypatch):
    model = tiny_model({"model": "wgan_gp"})
    model.compile(seed=1)
    penalty, calls = gan.gradient_penalty, []

    def recorded(critic, real, fake, position):
        calls.append((real, fake, position))
        return penalty(critic, real, fake, position)

    monkeypatch.setattr(gan, "gradient_penalty", recorded)
    batch = np.random.default_rng(0).random((200, 28, 28, 3), np.float32)
    images = tf.constant(np.stack([batch] * UPDATES, axis=1))
    model.train_step(images)
    positions = np.concatenate([position for _, _, position in calls])
    assert positions.shape == (200 * UPDATES, 1, 1, 1)
    assert len(np.unique(positions)) > 0.99 * positions.size
    # U(0, 1): mean 1/2, variance 1/12.
    assert abs(positions.mean() - 0.5) < 0.05 and abs(positions.var() - 1 / 12) < 0.01
    np.testing.assert_array_equal(calls[0][0], batch)
    assert calls[0][1].shape == batch.shape


def test_only_the_critic_of_the_penalty_is_without_batch_norm():
    def norms(name):
        layers = tiny_model({"model": name}).image_critic.trunk.layers
        return sum(isinstance(layer, keras.layers.BatchNormalization) for layer in layers)

    assert norms("wgan_gp") == 0 and norms("dcgan") == 4
