"""The importance-weighted autoencoder: its bound on given weights, its gradients in a toy model."""

import math
from statistics import NormalDist
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from tests.models.known import Given, tensor, with_parts
from tests.models.training import IMAGES
from tests.models.variants import tiny_model
from zoo.distributions.code_distributions import GaussianPosterior
from zoo.noise import step_noise

LOG_W = [[-3, -1.5], [-0.2, -4]]  # [N, k]

# p(z) = N(0, 1), p(x|z) = N(z, 1), x = 1, q(z|x) = N(0.3, e^-0.4).
MEAN, LOG_STDDEV = 0.3, -0.4


def likelihood(log_prob):
    return SimpleNamespace(training_log_prob=lambda outputs, images, noise: log_prob(outputs))


def unit_normal(z):
    return -0.5 * tf.square(1.0 - z[:, 0]) - 0.5 * math.log(2 * math.pi)


def toy(monkeypatch, gradient, eps):
    """The losses of the toy model at draws `[N, 2]`, the report, and the encoder's gradient."""
    mean, log_stddev = tf.Variable(MEAN), tf.Variable(LOG_STDDEV)
    rows = tf.ones([len(eps), 1])
    model = with_parts(
        monkeypatch,
        {"model": "iwae", "draws": 2, "gradient": gradient},
        posterior=lambda x, training: GaussianPosterior(
            loc=mean * rows, scale_diag=tf.exp(log_stddev) * rows
        ),
        decoder=lambda z, training: z,
        likelihood_head=likelihood(unit_normal),
    )
    with tf.GradientTape() as tape:
        losses, report = model.losses(rows, Given(posterior=np.asarray(eps)[..., None]))
    slopes = tape.gradient(losses["encoder"], [mean, log_stddev])
    return losses, report, [-float(slope) for slope in slopes]


def test_known_answer(monkeypatch):
    model = with_parts(
        monkeypatch,
        {"model": "iwae", "draws": 2},
        # With q(z|x) the prior, log w is log p(x|z).
        posterior=lambda x, training: GaussianPosterior(
            loc=tf.zeros([2, 1]), scale_diag=tf.ones([2, 1])
        ),
        decoder=lambda z, training: z,
        likelihood_head=likelihood(lambda z: z[:, 0]),
    )
    draws = Given(posterior=np.asarray(LOG_W)[..., None])
    losses, report = model.losses(tensor(np.zeros((2, 1))), draws)
    expected = {
        "iwae": (-1.9917339026, -0.8710229641),
        "elbo": (-2.25, -2.1),
        "log_likelihood": (-2.25, -2.1),
        "kl": (0, 0),
        "effective_draws": (1.4250960349, 1.0447191639),
    }
    for term, values in expected.items():
        np.testing.assert_allclose(report[term], values, rtol=1e-6, err_msg=term)
    assert losses["encoder"] is losses["decoder"]
    assert float(losses["decoder"]) == pytest.approx(1.43137843335, rel=1e-6)


@pytest.mark.parametrize(
    ("gradient", "expected"),
    [
        ("iwae", (0.5540649526, 0.4682216324)),
        ("dreg", (0.2073988495, 0.0274678107)),
        ("stl", (0.3826260238, 0.0256811077)),
    ],
)
def test_gradients_in_the_toy_model(monkeypatch, gradient, expected):
    losses, report, slopes = toy(monkeypatch, gradient, [[0.5, -1.0]])
    np.testing.assert_allclose(slopes, expected, rtol=1e-5)  # float32: sums of larger terms
    np.testing.assert_allclose(report["iwae"], [-1.6278127806], rtol=1e-6)
    # Whatever moves the encoder, the decoder has the bound itself.
    assert float(losses["decoder"]) == pytest.approx(1.6278127806, rel=1e-6)


def test_in_expectation_the_doubly_reparameterised_gradient_is_that_of_the_bound(monkeypatch):
    nodes = np.array([NormalDist().inv_cdf((i + 0.5) / 400) for i in range(400)])
    nodes /= nodes.std()  # equally weighted, they lack a little of the tails
    eps = np.stack(np.meshgrid(nodes, nodes), -1).reshape(-1, 2)
    found = {name: toy(monkeypatch, name, eps)[1:] for name in ("iwae", "dreg", "stl")}
    for name in ("iwae", "dreg"):
        np.testing.assert_allclose(found[name][1], (0.2273991173, 0.0948881315), atol=2e-3)
    assert np.abs(np.subtract(found["stl"][1], found["iwae"][1])).max() > 0.02
    report = found["iwae"][0]
    assert np.mean(report["iwae"]) == pytest.approx(-1.5394454303, abs=2e-3)
    assert np.mean(report["elbo"]) == pytest.approx(-1.5582674973, abs=2e-3)


def test_one_draw_is_the_vae_of_the_same_noise():
    images, noise = tf.constant(IMAGES[0]), step_noise(0, 1, 8)
    one, vae = tiny_model({"model": "iwae", "draws": 1}), tiny_model({"model": "vae"})
    report, other = (model.losses(images, noise)[1] for model in (one, vae))
    np.testing.assert_allclose(report["log_likelihood"], other["log_likelihood"], rtol=1e-6)
    np.testing.assert_allclose(report["iwae"], report["elbo"], rtol=1e-6)
    np.testing.assert_array_equal(report["effective_draws"], np.ones(8))


@pytest.mark.parametrize("likelihood", ["quantized_normal", "categorical"])
def test_each_draw_has_its_own_images(likelihood):
    """In inference mode, where the rows of the decoder know nothing of one another."""
    model = tiny_model({"model": "iwae", "draws": 3, "likelihood": likelihood})
    images, noise = tf.constant(IMAGES[0]), step_noise(0, 1, 8)
    _, report = model.losses(images, noise, training=False)
    q, eps = model.posterior(images), noise.normal("posterior", (3, 3))
    outputs = [model.decoder(q.reparameterize(eps[:, i]), training=False) for i in range(3)]
    each = [model.likelihood_head.training_log_prob(o, images, noise) for o in outputs]
    np.testing.assert_allclose(report["log_likelihood"], np.mean(each, axis=0), rtol=1e-5)


def test_the_exported_bound_stays_the_elbo_of_one_draw():
    model = tiny_model({"model": "iwae"})
    images = tf.constant(IMAGES[0])
    vae = tiny_model({"model": "vae"})
    for name, values in model.elbo(images, seed=0).items():
        np.testing.assert_array_equal(values, vae.elbo(images, seed=0)[name])
