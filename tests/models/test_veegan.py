"""VEEGAN's losses on given codes and logits."""

import numpy as np
import pytest

from tests.models.known import DG, Given, Point, k, s, tensor, with_parts
from tests.models.variants import tiny_model
from zoo.noise import step_noise

Z, F = s(2, 3), k(2, 3)
DISTANCE = (1.2522036771, 5.5783334053)  # ||z - F(x_g)||^2
IMAGES, SAMPLES = tensor(np.zeros((2, 28, 28, 3))), tensor(np.ones((2, 28, 28, 3)))


def losses(monkeypatch, **settings):
    """The losses where T(x_g, z) is (0.8, -0.2), and the logits of data are DG."""
    codes = k(2, 3) + s(2, 3)
    model = with_parts(
        monkeypatch,
        {"model": "veegan", **settings},
        generate=lambda z, training: SAMPLES,
        posterior=lambda x, training: Point(F) if x is SAMPLES else Point(F, codes),
        joint_critic=lambda x, z, training: tensor((0.8, -0.2) if x is SAMPLES else DG),
    )
    found, report = model.losses(IMAGES, Given(prior=Z, posterior=0 * Z))
    np.testing.assert_allclose(report["code_distance"], DISTANCE, rtol=1e-6)
    return {player: float(loss) for player, loss in found.items()}


def softplus(x):
    return np.logaddexp(0, np.float64(x))


def test_known_answer(monkeypatch):
    found = losses(monkeypatch)
    assert found["decoder"] == pytest.approx(2.0076342706, rel=1e-6)
    assert found["encoder"] == pytest.approx(0.5 * np.mean(DISTANCE), rel=1e-6)
    critic = np.mean(softplus([-0.8, 0.2]) + softplus(DG))
    assert found["joint_critic"] == pytest.approx(critic, rel=1e-6)


def test_known_answer_of_the_deterministic_reconstructor(monkeypatch):
    found = losses(monkeypatch, posterior="deterministic")
    assert found["decoder"] == pytest.approx(3.7152685412, rel=1e-6)
    assert found["encoder"] == pytest.approx(np.mean(DISTANCE), rel=1e-6)


def test_adversarial_reconstructor(monkeypatch):
    found = losses(monkeypatch, reconstructor_adversarial=True)
    assert found["encoder"] == pytest.approx(0.5 * np.mean(DISTANCE) - np.mean(DG), rel=1e-6)


def test_the_critic_sees_codes_of_unit_variance_about_the_mean(monkeypatch):
    model, seen = tiny_model({"model": "veegan"}), []
    critic = model.joint_critic

    def spy(x, z, training):
        seen.append(z)
        return critic(x, z, training=training)

    monkeypatch.setattr(model, "joint_critic", spy)
    noise = step_noise(0, 1, 2)
    model.losses(IMAGES, noise)
    mean = model.posterior(IMAGES, training=True).point()
    np.testing.assert_allclose(seen[1], mean + noise.normal("posterior", (3,)), rtol=1e-6)
    assert (model.encode(IMAGES)["stddev"] == 1).numpy().all()
