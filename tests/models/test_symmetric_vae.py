"""The symmetric VAE's losses on given codes and logits, and where the critic is the true ratio."""

import numpy as np
import pytest
from scipy import stats

from tests.models.known import DG, DR, Given, k, s, tensor, with_parts
from zoo.distributions.code_distributions import GaussianPosterior


def softplus(x):
    return np.logaddexp(0, np.float64(x))


def gaussian(mean, stddev):
    return GaussianPosterior(loc=tensor(mean), scale_diag=tensor(stddev))


@pytest.mark.parametrize("weight", [0.0, 0.1])
def test_known_answer(monkeypatch, weight):
    images, samples = tensor(0.5 + 0.5 * s(2, 4).reshape(2, 2, 2, 1)), tensor(np.ones((2, 2, 2, 1)))
    z, eps, logits = s(2, 3), k(2, 3), k(2, 4).reshape(2, 2, 2, 1)
    mean, stddev, code, spread = 0.5 * k(2, 3), np.exp(0.3 * s(2, 3)), k(2, 3), np.exp(s(2, 3))
    drawn = []

    def decoder(z_hat, training):
        drawn.append(z_hat)
        return tensor(logits)

    model = with_parts(
        monkeypatch,
        {"model": "symmetric_vae", "likelihood_weight": weight},
        generate=lambda z, training: samples,
        decoder=decoder,
        posterior=lambda x, training: gaussian(*((mean, stddev), (code, spread))[x is samples]),
        joint_critic=lambda x, z, training: tensor(DG if x is samples else DR),
    )
    found, report = model.losses(images, Given(prior=z, posterior=eps))
    np.testing.assert_allclose(drawn[0], mean + stddev * eps, rtol=1e-6)
    image_part = (images.numpy() * np.float64(logits) - softplus(logits)).sum(axis=(1, 2, 3))
    code_part = stats.norm.logpdf(z, code, spread).sum(axis=1)
    kl = 0.5 * (mean**2 + stddev**2 - 1 - 2 * np.log(stddev)).sum(axis=1)
    np.testing.assert_allclose(report["log_likelihood"], image_part, rtol=1e-6)
    np.testing.assert_allclose(report["code_log_likelihood"], code_part, rtol=1e-6)
    np.testing.assert_allclose(report["elbo"], image_part - kl, rtol=1e-6)
    expected = -0.6 - weight * np.mean(image_part + code_part)
    assert float(found["encoder"]) == float(found["decoder"]) == pytest.approx(expected, rel=1e-6)
    critic = np.mean(softplus(-np.float64(DG)) + softplus(DR))
    assert float(found["joint_critic"]) == pytest.approx(critic, rel=1e-6)


def log_ratio(x, z):
    """log p/q of q: x ~ N(0, 1), z|x ~ N(.6 x, .8^2) and p: z ~ N(0, 1), x|z ~ N(.5 z, .9^2)."""
    p = stats.norm.logpdf(z) + stats.norm.logpdf(x, 0.5 * z, 0.9)
    return p - stats.norm.logpdf(x) - stats.norm.logpdf(z, 0.6 * x, 0.8)


def test_with_the_true_ratio_the_loss_is_the_sum_of_both_divergences(monkeypatch):
    assert log_ratio(1, -0.5) == pytest.approx(0.2380232915, rel=1e-9)
    # The mean of a quadratic form of two standard normals is that over these four points.
    one, other = np.array([1.0, 1, -1, -1]), np.array([1.0, -1, 1, -1])

    def critic(x, z, training):
        x, z = np.float64(x).ravel(), np.float64(z).ravel()
        return tensor(log_ratio(x, z))

    x, z = one[:, None], one[:, None]
    samples = tensor((0.5 * one + 0.9 * other)[:, None, None, None])
    model = with_parts(
        monkeypatch,
        {"model": "symmetric_vae", "likelihood_weight": 0.0},
        generate=lambda z, training: samples,
        decoder=lambda z, training: samples,
        posterior=lambda x, training: gaussian(0.6 * np.reshape(x, (4, 1)), np.full((4, 1), 0.8)),
        joint_critic=critic,
    )
    found, report = model.losses(
        tensor(x[..., None, None]), Given(prior=z, posterior=other[:, None])
    )
    assert -np.mean(report["critic_data"]) == pytest.approx(0.0190176036, rel=1e-5)  # KL(q||p)
    assert np.mean(report["critic_generated"]) == pytest.approx(0.0228419643, rel=1e-5)  # KL(p||q)
    assert float(found["encoder"]) == pytest.approx(0.0418595679, rel=1e-5)
