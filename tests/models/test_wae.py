"""The losses of the Wasserstein autoencoders on given codes, images and logits."""

import numpy as np
import pytest
import tensorflow as tf

from tests.models.known import DG, DR, Given, Point, k, s, tensor, with_parts
from tests.models.variants import tiny_model
from zoo.config import RunConfig
from zoo.errors import UsageError
from zoo.models import resolve
from zoo.models.wae import transport_cost
from zoo.noise import step_noise

X, Y = (tensor(0.5 + 0.5 * a(2, 4).reshape(2, 2, 2, 1)) for a in (s, k))
COST = (0.0219640418, 0.0698993579)  # 0.05 times the sum of squares
Q, P = s(4, 3), k(4, 3)


def softplus(x):
    return np.logaddexp(0, np.float64(x))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("squared_l2", COST),
        ("l2", 0.2 * np.sqrt(20 * np.array(COST))),
        ("l1", 0.01 * np.abs(s(2, 4) - k(2, 4)).sum(axis=1)),
    ],
)
def test_costs(name, expected):
    np.testing.assert_allclose(transport_cost(name, X, Y), expected, rtol=1e-6)
    with tf.GradientTape() as tape:
        tape.watch(X)
        cost = transport_cost(name, X, tf.identity(X))
    assert np.isfinite(tape.gradient(cost, X)).all()


def losses_of_mmd(monkeypatch, **settings):
    images, rebuilt = (tf.concat([a, a], axis=0) for a in (X, Y))
    model = with_parts(
        monkeypatch,
        {"model": "wae_mmd", **settings},
        generate=lambda z, training: rebuilt,
        posterior=lambda x, training: Point(Q),
    )
    found, report = model.losses(images, Given(prior=P, posterior=0 * P))
    assert found["encoder"] is found["decoder"]
    np.testing.assert_allclose(report["cost"], (*COST, *COST), rtol=1e-6)
    (mmd,) = set(report["squared_mmd"].numpy())
    return float(found["encoder"]), float(mmd)


def test_known_answer_of_the_discrepancy(monkeypatch):
    loss, mmd = losses_of_mmd(monkeypatch)
    assert mmd == pytest.approx(-0.4861275364, abs=1e-6)  # of means up to 7
    assert loss == pytest.approx(np.mean(COST) + 10 * mmd, rel=1e-6)
    loss, _ = losses_of_mmd(monkeypatch, penalty_weight=0.5)
    assert loss == pytest.approx(np.mean(COST) + 0.5 * mmd, rel=1e-6)


def test_the_gaussian_kernel_has_the_width_of_the_distances(monkeypatch):
    _, mmd = losses_of_mmd(monkeypatch, mmd_kernel="gaussian")
    assert mmd == pytest.approx(-0.0702361628, rel=1e-5)


def losses_of_gan(monkeypatch, codes, draws, **settings):
    """Where the network gives DR for draws of the prior, and DG for codes."""
    logits = {0: tensor(DR), 1: tensor(DG)}
    model = with_parts(
        monkeypatch,
        {"model": "wae_gan", **settings},
        generate=lambda z, training: Y,
        posterior=lambda x, training: Point(codes),
        code_critic=lambda z: logits[int(np.allclose(z, codes))],
    )
    found, report = model.losses(X, Given(prior=draws, posterior=0 * draws))
    assert found["encoder"] is found["decoder"]
    return {p: float(loss) for p, loss in found.items()}, report["marginal_kl_ratio_estimate"]


def test_known_answer_of_the_critic(monkeypatch):
    found, ratio = losses_of_gan(monkeypatch, Q[:2], P[:2])
    expected = np.mean(COST) + 10 * np.mean(softplus(-DG))
    assert found["encoder"] == pytest.approx(expected, rel=1e-6)
    critic = np.mean(softplus(-DR) + softplus(DG))
    assert found["code_critic"] == pytest.approx(critic, rel=1e-6)
    np.testing.assert_allclose(ratio, -DG)


def test_the_known_prior_is_part_of_the_logit(monkeypatch):
    log_p = [-0.5 * np.sum(rows[:2] ** 2, axis=1) - 1.5 * np.log(2 * np.pi) for rows in (P, Q)]
    assert log_p[1][1] == pytest.approx(-3.5805776194, rel=1e-9)
    found, ratio = losses_of_gan(monkeypatch, Q[:2], P[:2], known_prior=True)
    np.testing.assert_allclose(ratio, -(DG + log_p[1]), rtol=1e-6)
    critic = np.mean(softplus(-DR - log_p[0]) + softplus(DG + log_p[1]))
    assert found["code_critic"] == pytest.approx(critic, rel=1e-6)
    expected = np.mean(COST) + 10 * np.mean(softplus(-DG - log_p[1]))
    assert found["encoder"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", ["wae_mmd", "wae_gan"])
def test_the_penalty_moves_the_encoder_alone(name):
    """The decoder's gradient is that of the cost, whatever the weight."""
    images, noise = tensor(np.random.default_rng(0).random((6, 28, 28, 3))), step_noise(0, 1, 6)
    gradients = []
    for weight in (0.0, 10.0):
        model = tiny_model({"model": name, "penalty_weight": weight})
        players = [model.encoder, model.decoder]
        with tf.GradientTape() as tape:
            loss = model.losses(images, noise)[0]["encoder"]
        variables = [[v.value for v in network.trainable_variables] for network in players]
        gradients.append(tape.gradient(loss, variables))
    (encoder, decoder), (moved, same) = gradients
    for one, other in zip(decoder, same, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-9)
    assert not any(np.allclose(one, other) for one, other in zip(encoder, moved, strict=True))


class Images:
    image_shape = (28, 28, 3)


def test_a_batch_of_one_has_no_pairs():
    config = RunConfig.create(model="wae_mmd", batch_size=1)
    with pytest.raises(UsageError, match="batch_size=1 is too small for wae_mmd.*at least 2$"):
        resolve(config, Images())
    resolve(RunConfig.create(model="wae_mmd", batch_size=2), Images())
    resolve(RunConfig.create(model="wae_gan", batch_size=1), Images())
