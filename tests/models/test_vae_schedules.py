"""The weight of a VAE's KL over the steps, and its capacity, on given codes and likelihoods."""

import numpy as np
import pytest
import tensorflow as tf

from tests.models.known import Given, tensor, with_parts
from tests.models.variants import tiny_model
from zoo.distributions.code_distributions import GaussianPosterior
from zoo.errors import UsageError
from zoo.training.strategy import make_strategy

VARIANCE = 0.1  # of p(x|z)
# x ~ N(0, 1) and one draw of q(z|x): two values of each make all second moments exact.
X, NOISE = tensor([-1, -1, 1, 1]), tensor([[-1], [1], [-1], [1]])

# Rate and distortion of the optimum, by weight.
OPTIMA = {
    0.5: (1.4978661368, 0.0176459867),
    1.0: (1.1512925465, 0.2676459867),
    2.0: (0.8047189562, 0.7676459867),
    4.0: (0.4581453659, 1.7676459867),
}


class NormalHead:
    """log N(x; x^, VARIANCE)."""

    def training_log_prob(self, outputs, images, noise):
        return -0.5 * (tf.square(images - outputs) / VARIANCE + np.log(2 * np.pi * VARIANCE))


def channel(monkeypatch, scale, stddev, decoder, **settings):
    """z = scale x + stddev eps, x^ = decoder z."""
    return with_parts(
        monkeypatch,
        {"model": "vae", **settings},
        posterior=lambda x, training: GaussianPosterior(
            scale * x[:, None], stddev * tf.ones_like(x[:, None])
        ),
        decoder=lambda z, training: decoder * z[:, 0],
        likelihood_head=NormalHead(),
    )


@pytest.mark.parametrize("weight", OPTIMA)
def test_rate_and_distortion_of_the_optimum(monkeypatch, weight):
    rate, distortion = OPTIMA[weight]
    error = 0.1 * weight  # E (x - x^)^2
    place = [tf.Variable(v) for v in ((1 - error) ** 0.5, error**0.5, (1 - error) ** 0.5)]
    model = channel(monkeypatch, *place, kl_weight=weight)
    with tf.GradientTape() as tape:
        losses, report = model.losses(X, Given(posterior=NOISE))
    assert losses["encoder"] is losses["decoder"]
    assert float(losses["encoder"]) == pytest.approx(distortion + weight * rate, rel=1e-6)
    np.testing.assert_allclose(tape.gradient(losses["encoder"], place), np.zeros(3), atol=1e-5)
    means = {name: float(tf.reduce_mean(values)) for name, values in report.items()}
    assert means["kl"] == pytest.approx(rate, rel=1e-6)
    assert means["log_likelihood"] == pytest.approx(-distortion, rel=1e-5)
    assert means["elbo"] == pytest.approx(-distortion - rate, rel=1e-6)  # with weight 1


class Kl:
    """A posterior of known KL, whose draw is what the noise is."""

    def __init__(self, kl):
        self._kl = tensor(kl)

    def reparameterize(self, noise):
        return noise

    def kl(self, z):
        return self._kl


def loss(monkeypatch, kl, step, **settings):
    """That of perfect images: what the KL adds."""
    model = with_parts(
        monkeypatch,
        {"model": "vae", **settings},
        posterior=lambda x, training: Kl(kl),
        decoder=lambda z, training: X[: len(kl)],
        likelihood_head=NormalHead(),
    )
    model.step.assign(step)
    found, report = model.losses(X[: len(kl)], Given(posterior=NOISE[: len(kl)]))
    np.testing.assert_allclose(report["kl"], kl, rtol=1e-6)
    return float(found["encoder"]) - 0.5 * np.log(2 * np.pi * VARIANCE)


@pytest.mark.parametrize(
    ("step", "weight"), [(1, 0.5 / 8), (4, 0.25), (7, 0.4375), (8, 0.5), (9, 0.5), (10**6, 0.5)]
)
def test_linear_warm_up(monkeypatch, step, weight):
    schedule = {"kl_schedule": "linear", "kl_warmup_steps": 8, "kl_weight": 0.5}
    assert loss(monkeypatch, [3.0, 5.0], step, **schedule) == pytest.approx(4 * weight, rel=1e-5)
    assert loss(monkeypatch, [3.0, 5.0], step, kl_weight=0.5) == pytest.approx(2, rel=1e-5)


def test_capacity(monkeypatch):
    """Half way to 25 nats, and at a rate that is constant; from below as from above."""
    grows = {"kl_schedule": "linear", "kl_warmup_steps": 8, "kl_capacity": 25.0}
    assert loss(monkeypatch, [19.0, 19.66], 4, **grows) == pytest.approx(6830, rel=1e-6)
    assert loss(monkeypatch, [19.0, 19.66], 8, **grows) == pytest.approx(5670, rel=1e-6)
    fixed = {"kl_capacity": 12.5, "kl_capacity_weight": 2.0}
    assert loss(monkeypatch, [19.0, 19.66], 1, **fixed) == pytest.approx(13.66, rel=1e-6)
    # |mean - C|, not the mean of |KL - C|, which would be 2.
    assert loss(monkeypatch, [10.5, 14.5], 1, **fixed) == pytest.approx(0, abs=1e-4)


def test_capacity_takes_the_mean_of_all_replicas():
    """One half of the batch lies below the capacity, the other above: of each half alone the
    absolute values would add up."""
    strategy = make_strategy("mirrored")
    with strategy.scope():
        model = tiny_model({"model": "vae", "kl_capacity": 12.5, "kl_capacity_weight": 2.0})
    kl = strategy.experimental_distribute_values_from_function(
        lambda c: tf.constant([[9.0, 11.0], [15.0, 16.0]][c.replica_id_in_sync_group])
    )
    found = strategy.run(lambda rows: model._weighted(rows), args=(kl,))
    np.testing.assert_allclose(strategy.experimental_local_results(found), [0.5, 0.5], rtol=1e-6)


def test_a_weight_beside_a_capacity_is_refused():
    with pytest.raises(UsageError, match=r"^kl_weight=2.0 and kl_capacity=5.0 exclude each other"):
        tiny_model({"model": "vae", "kl_weight": 2.0, "kl_capacity": 5.0})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kl_warmup_steps": 9}, "^kl_warmup_steps=9 applies to kl_schedule=linear only$"),
        ({"kl_capacity_weight": 2.0}, "^kl_capacity_weight=2.0 applies to a kl_capacity only$"),
        ({"dequantization": "none"}, "applies to likelihood=quantized_normal only, not to bern"),
        ({"flow_context": True}, "^flow_context=True applies to posterior=real_nvp only, not to g"),
    ],
)
def test_a_setting_of_what_is_not_chosen_is_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        tiny_model({"model": "vae", **settings})
