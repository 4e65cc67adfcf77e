"""FactorVAE's losses and permutation on given codes, keys and logits."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.known import DG, DR, Given, k, s, tensor, with_parts
from tests.models.variants import tiny_model
from zoo.distributions.code_distributions import GaussianPosterior
from zoo.models.factor_vae import permute_dimensions

ROW, COLUMN = np.indices((4, 3))
KEYS = (5 * ROW + 3 * ROW * COLUMN + 2 * COLUMN) % 7
PERMUTED = [
    (0, 0.1411200081, 0.9092974268, 0.8414709848),
    (0.9092974268, 0.1411200081, -0.7568024953, -0.9589242747),
    (-0.9589242747, 0.6569865987, -0.7568024953, -0.2794154982),
]


def test_known_permutation():
    found = permute_dimensions(tensor(s(4, 3)), tensor(KEYS / 7))
    np.testing.assert_allclose(tf.transpose(found), PERMUTED, rtol=1e-6)


def test_dimensions_are_permuted_each_by_itself(rng):
    """Rows stay what they are together only by chance: the columns are no longer correlated."""
    z = rng.standard_normal((20000, 1)) @ np.ones((1, 3)) + 0.1 * rng.standard_normal((20000, 3))
    found = permute_dimensions(tensor(z), tensor(rng.random(z.shape))).numpy()
    np.testing.assert_array_equal(np.sort(found, axis=0), np.sort(z.astype(np.float32), axis=0))
    np.testing.assert_allclose(np.corrcoef(found.T), np.eye(3), atol=4 / np.sqrt(len(z)))


def softplus(x):
    return np.logaddexp(0, np.float64(x))


@pytest.mark.parametrize("weight", [6.4, 0.0])
def test_known_answer(monkeypatch, weight):
    """Where the critic gives DR for permuted codes, and DG for those of the encoder."""
    mean, codes, seen = tensor(s(2, 3)), s(2, 3) + 0.5 * k(2, 3), []

    def critic(z):
        seen.append(z)
        return tensor(DG if np.allclose(z, codes) else DR)

    model = with_parts(
        monkeypatch,
        {"model": "factor_vae", "total_correlation_weight": weight},
        posterior=lambda x, training: GaussianPosterior(mean, tf.fill([2, 3], 0.5)),
        decoder=lambda z, training: tf.zeros([2, 28, 28, 3]),
        code_critic=critic,
    )
    # The second dimension alone changes places.
    noise = Given(posterior=k(2, 3), permutation=[[0.1, 0.9, 0.2], [0.3, 0.4, 0.2]])
    losses, report = model.losses(tf.zeros([2, 28, 28, 3]), noise)
    permuted = np.stack([codes[:, 0], codes[::-1, 1], codes[:, 2]], axis=1)
    np.testing.assert_allclose(seen[1], permuted, rtol=1e-6)
    kl = 0.5 * np.sum(s(2, 3) ** 2 + 0.25 - 1 - np.log(0.25), axis=1)
    log_likelihood = -28 * 28 * 3 * np.log(2)
    np.testing.assert_allclose(report["elbo"], log_likelihood - kl, rtol=1e-6)
    np.testing.assert_allclose(report["total_correlation_ratio_estimate"], -DG)
    expected = np.mean(kl) - log_likelihood - weight * np.mean(DG)
    assert losses["encoder"] is losses["decoder"]
    assert float(losses["encoder"]) == pytest.approx(expected, rel=1e-6)
    critic_loss = 0.5 * np.mean(softplus(-DR) + softplus(DG))
    assert float(losses["code_critic"]) == pytest.approx(critic_loss, rel=1e-6)


def test_the_best_critic_gives_the_total_correlation(monkeypatch, rng):
    """Of two normals with a correlation of 0.8, 0.5108256238 nats; any other critic does worse."""
    rho, n = 0.8, 20_000
    root = np.linalg.cholesky([[1, rho, 0], [rho, 1, 0], [0, 0, 1]])
    codes = tensor(rng.standard_normal((n, 3)) @ root.T)
    factor = tf.Variable(1.0)

    def critic(z):
        x, y = z[:, 0], z[:, 1]
        log_joint = (2 * rho * x * y - x**2 - y**2) / (1 - rho**2) - np.log(1 - rho**2)
        return factor * (-0.5 * (x**2 + y**2) - 0.5 * log_joint)

    model = with_parts(
        monkeypatch,
        {"model": "factor_vae"},
        posterior=lambda x, training: GaussianPosterior(codes, tf.ones([n, 3])),
        decoder=lambda z, training: z,
        likelihood_head=SimpleNamespace(training_log_prob=lambda *arguments: tf.zeros([n])),
        code_critic=critic,
    )
    noise = Given(posterior=np.zeros((n, 3)), permutation=rng.random((n, 3)))

    def at(value):
        factor.assign(value)
        losses, report = model.losses(tf.zeros([n, 1]), noise)
        return losses["code_critic"], report["total_correlation_ratio_estimate"]

    loss, estimate = at(1.0)
    error = np.std(estimate) / np.sqrt(n)
    assert abs(np.mean(estimate) - 0.5108256238) < 4 * error and error < 0.01
    assert loss < at(0.7)[0] and loss < at(1.4)[0]


def test_the_critic_has_the_layers_of_the_authors():
    (*hidden, logit) = [
        layer
        for layer in tiny_model({"model": "factor_vae"}).code_critic.stack.layers
        if isinstance(layer, keras.layers.Dense)
    ]
    assert len(hidden) == 6 and logit.units == 1
