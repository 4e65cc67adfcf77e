"""SN-GAN: its losses on given logits, and the normalisation of its critic."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.known import DG, DR, Given, tensor, with_parts
from tests.models.training import compiled, train
from tests.models.variants import tiny_model

IMAGES, SAMPLES = tensor(np.zeros((2, 28, 28, 3))), tensor(np.ones((2, 28, 28, 3)))


@pytest.mark.parametrize(
    ("settings", "critic", "decoder"),
    [
        ({}, 1.5, 0.15),
        (
            {"gan_loss": "non_saturating"},
            0.5588188559 + 0.6581006507,
            np.mean(np.logaddexp(0, -np.float64(DG))),
        ),
    ],
)
def test_known_answer(monkeypatch, settings, critic, decoder):
    model = with_parts(
        monkeypatch,
        {"model": "sngan", **settings},
        generate=lambda z, training: SAMPLES,
        image_critic=lambda x, training: tensor(DG if x is SAMPLES else DR),
    )
    losses, _ = model.losses(IMAGES, Given(prior=np.zeros((2, 3))))
    assert float(losses["image_critic"]) == pytest.approx(critic, rel=1e-6)
    assert float(losses["decoder"]) == pytest.approx(decoder, rel=1e-6)


def test_every_kernel_of_the_critic_is_normalised_and_none_of_the_decoder():
    model = tiny_model({"model": "sngan"})
    trunk, head = model.image_critic.network.trunk, model.image_critic.network.head
    convolutions = [x for x in trunk.layers if isinstance(x, keras.layers.Conv2D)]
    expected = [id(layer.kernel) for layer in (*convolutions, head)]
    assert [id(kernel) for kernel in model.image_critic.kernels] == expected
    assert not any(isinstance(x, keras.layers.BatchNormalization) for x in trunk.layers)
    assert isinstance(model.decoder, keras.Sequential)
    assert [x.name for x in model.layers].count("image_critic") == 1


def test_one_power_iteration_for_each_update_of_the_critic(monkeypatch):
    model = compiled({"model": "sngan", "critic_updates": 3})
    calls, iterate = [], model.image_critic.iterate
    monkeypatch.setattr(model.image_critic, "iterate", lambda: (calls.append(1), iterate()))
    train(model, 2)
    assert len(calls) == 6


def test_the_vectors_follow_the_kernels_while_it_trains():
    model = compiled({"model": "sngan"}, rates={"all": 1e-3})
    train(model, 30)
    for kernel, v in zip(model.image_critic.kernels, model.image_critic.vectors, strict=True):
        matrix = kernel.numpy().reshape(-1, kernel.shape[-1])
        sigma, largest = np.linalg.norm(v.numpy() @ matrix), np.linalg.norm(matrix, 2)
        assert 0.9 * largest < sigma < 1.0001 * largest


def test_scaling_a_kernel_changes_nothing():
    model, images = tiny_model({"model": "sngan"}), tf.random.uniform((4, 28, 28, 3), seed=1)
    before = model.image_critic(images)
    for kernel in model.image_critic.kernels:
        kernel.assign(5.0 * kernel)
    np.testing.assert_allclose(model.image_critic(images), before, rtol=1e-4)
