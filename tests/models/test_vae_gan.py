"""VAE/GAN's losses on given features and logits, and when a player rests."""

import numpy as np
import pytest
import tensorflow as tf

from tests.models.known import DG, DR, Given, k, s, tensor, with_parts
from zoo.distributions.code_distributions import GaussianPosterior

IMAGES, REBUILT, DRAWN = (tensor(np.full((2, 28, 28, 3), value)) for value in (0, 0.5, 1))
MEAN = s(2, 3)
FEATURES, WANTED = s(2, 5), k(2, 5)
DISTANCE = (2.2282892422, 3.1389860364)
REBUILT_LOGITS = (0.6, -1.1)


def softplus(x):
    return np.logaddexp(0, np.float64(x))


def made(monkeypatch, data=DR, drawn=DG, **settings):
    """A model whose networks give the numbers above."""

    def image_critic(x, training):
        if x is IMAGES:
            return tensor(data), tensor(FEATURES)
        return (tensor(REBUILT_LOGITS) if x is REBUILT else tensor(drawn)), tensor(WANTED)

    prior = np.full((2, 3), 9.0)
    model = with_parts(
        monkeypatch,
        {"model": "vae_gan", "feature_weight": 0.01, **settings},
        generate=lambda z, training: DRAWN if float(z[0, 0]) == 9 else REBUILT,
        posterior=lambda x, training: GaussianPosterior(
            loc=tensor(MEAN), scale_diag=tf.ones([2, 3])
        ),
        image_critic=image_critic,
    )
    return model, Given(prior=prior, posterior=np.zeros((2, 3)))


def losses(monkeypatch, **settings):
    model, noise = made(monkeypatch, **settings)
    found, report = model.losses(IMAGES, noise)
    np.testing.assert_allclose(report["feature_distance"], DISTANCE, rtol=1e-6)
    return {player: float(loss) for player, loss in found.items()}


def test_known_answer(monkeypatch):
    found = losses(monkeypatch)
    assert found["decoder"] == pytest.approx(0.8349370270, rel=1e-6)
    assert found["image_critic"] == pytest.approx(0.5588188559 + 0.6581006507, rel=1e-6)
    kl = 0.5 * np.sum(MEAN**2, axis=1)
    assert found["encoder"] == pytest.approx(np.mean(kl + DISTANCE), rel=1e-6)


def test_reconstructions_share_the_fakes_weight(monkeypatch):
    found = losses(monkeypatch, judge_reconstructions=True)
    logits = np.stack([DG, REBUILT_LOGITS])
    decoder = 0.01 * np.mean(DISTANCE) + np.mean(softplus(-logits))
    assert found["decoder"] == pytest.approx(decoder, rel=1e-6)
    critic = np.mean(softplus(-DR)) + np.mean(softplus(logits))
    assert found["image_critic"] == pytest.approx(critic, rel=1e-6)


def test_minimax(monkeypatch):
    found = losses(monkeypatch, minimax=True)
    decoder = 0.01 * np.mean(DISTANCE) - 0.6581006507
    assert found["decoder"] == pytest.approx(decoder, rel=1e-6)


@pytest.mark.parametrize(
    ("data", "drawn", "rests"),
    [
        (DR, DG, ()),
        ((3, 3), DG, ("image_critic",)),
        (DR, (-3, -3), ("image_critic",)),
        ((-2, -2), DG, ("decoder",)),
        (DR, (2, 2), ("decoder",)),
        ((3, 3), (2, 2), ()),  # both would
        ((3, -3), DG, ("decoder",)),  # by the mean of -log D, 1.55
    ],
)
def test_who_is_far_ahead_rests(monkeypatch, data, drawn, rests):
    free = losses(monkeypatch, data=data, drawn=drawn)
    found = losses(monkeypatch, data=data, drawn=drawn, balance=True)
    assert found == {p: 0.0 if p in rests else free[p] for p in free}


def test_the_whole_batch_decides_who_rests(monkeypatch):
    model, noise = made(monkeypatch, balance=True)
    confident = tf.fill([6, 2], 0.01)  # of the other replicas
    monkeypatch.setattr(model, "gather", lambda rows: tf.concat([rows, confident], axis=0))
    found, _ = model.losses(IMAGES, noise)
    assert float(found["image_critic"]) == 0 and float(found["decoder"]) > 0
