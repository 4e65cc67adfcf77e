"""Algorithm 3 on samplers whose KL is known."""

import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import norm

from zoo.errors import UsageError
from zoo.evaluation.latent.density_ratio_kl import (
    CURVE_SAMPLES,
    DensityRatio,
    RatioOptions,
    estimate,
)

SMALL = RatioOptions(units=32, learning_rate=3e-3)


class Normal:
    """A sampler that counts its draws."""

    def __init__(self, mean=0.0, stddev=1.0, size=1, seed=0):
        self.generator = np.random.default_rng(seed)
        self.mean, self.stddev, self.size, self.counts = mean, stddev, size, []

    def __call__(self, count):
        self.counts.append(count)
        noise = self.generator.standard_normal((count, self.size))
        return (self.mean + self.stddev * noise).astype(np.float32)


def ratio(options=SMALL, seed=0):
    return DensityRatio(Normal(1, 0.5, 2, 1), Normal(0, 1, 2, 2), 2, options, seed)


def weights(trained):
    return [v.numpy() for v in trained.critic.trainable_variables]


def test_two_gaussians():
    """Oracle 4: the optimum is the quadratic log-ratio, its mean the KL in closed form."""
    mean, stddev = 1.0, 0.5
    options = dataclasses.replace(SMALL, batch_size=512, learning_rate=1e-3)
    trained = DensityRatio(Normal(mean, stddev, seed=1), Normal(seed=2), 1, options)
    trained.train(2500)
    result = trained.estimate(50_000)
    kl = 0.5 * (mean**2 + stddev**2 - 1 - 2 * math.log(stddev))
    assert result.value == pytest.approx(kl, rel=0.1)
    assert result.donsker_varadhan == pytest.approx(kl, rel=0.05)
    z = np.linspace(0, 2, 21)[:, None]  # two standard deviations of q
    expected = norm.logpdf(z[:, 0], mean, stddev) - norm.logpdf(z[:, 0])
    np.testing.assert_allclose(trained.log_ratio(z), expected, atol=0.25)
    assert result.nwj <= result.donsker_varadhan and result.nwj == pytest.approx(kl, rel=0.05)
    assert result.temperature.value == pytest.approx(1, abs=0.15)
    # The least cross entropy, by quadrature.
    axis = np.linspace(-8, 8, 4001)
    q, p = norm.pdf(axis, mean, stddev), norm.pdf(axis)
    terms = q * np.log1p(p / np.maximum(q, 1e-300)) + p * np.log1p(q / p)
    assert result.cross_entropy == pytest.approx(terms.sum() * 0.004, abs=0.02)


def test_equal_laws_have_no_kl():
    options = dataclasses.replace(SMALL, batch_size=256)
    result = estimate(Normal(seed=1), Normal(seed=2), 1, options, steps=100)
    assert result.value == pytest.approx(0, abs=0.1)
    assert result.donsker_varadhan == pytest.approx(0, abs=0.05)
    assert result.cross_entropy == pytest.approx(math.log(4), abs=0.02)


def test_a_mean_logit_is_neither_bounded_nor_clipped():
    trained = ratio()
    trained.train(20)
    before = trained.estimate(1000)
    trained.critic.stack.layers[-1].bias.assign([720_140.0])
    after = trained.estimate(1000)
    assert after.value == pytest.approx(720_140, rel=1e-4)
    assert after.donsker_varadhan == pytest.approx(before.donsker_varadhan, abs=0.3)


def test_values_follow_from_the_logits(monkeypatch):
    """Against NumPy on logits that are known: here c(z) = z."""
    draw_q, draw_p = Normal(2, 0.7, seed=1), Normal(seed=2)
    monkeypatch.setattr(DensityRatio, "log_ratio", lambda self, z: z[:, 0].astype(np.float64))
    result = DensityRatio(draw_q, draw_p, 1, SMALL).estimate(5000)
    q, p = (np.float64(Normal(*law)(5000)[:, 0]) for law in ((2, 0.7, 1, 1), (0, 1, 1, 2)))
    assert result.value == pytest.approx(q.mean())
    assert result.standard_error == pytest.approx(q.std(ddof=1) / math.sqrt(5000))
    assert result.donsker_varadhan == pytest.approx(q.mean() - np.log(np.exp(p).mean()))
    # E q - log E e^p = 2 - 1/2, with variances 0.7^2 and e - 1 a sample.
    error = math.sqrt((0.7**2 + math.e - 1) / 5000)
    assert result.donsker_varadhan == pytest.approx(1.5, abs=4 * error)
    assert result.donsker_varadhan_standard_error == pytest.approx(error, rel=0.15)
    assert result.nwj == pytest.approx(q.mean() - np.exp(p).mean() + 1)
    assert result.nwj_standard_error == pytest.approx(
        math.sqrt((q.var(ddof=1) + np.exp(p).var(ddof=1)) / 5000)
    )
    assert result.effective_samples == pytest.approx(np.exp(p).sum() ** 2 / np.exp(2 * p).sum())
    cross_entropy = np.log1p(np.exp(-q)).mean() + np.log1p(np.exp(p)).mean()
    assert result.cross_entropy == pytest.approx(cross_entropy)


def test_every_draw_is_fresh():
    draw_q, draw_p = Normal(1, seed=1), Normal(seed=2)
    result = estimate(draw_q, draw_p, 1, SMALL, steps=230, samples=5000)
    steps = [point.steps for point in result.curve]
    assert (steps[0], steps[-1], result.steps, result.m) == (0, 230, 230, 5000)
    expected = 230 * SMALL.batch_size + len(steps) * CURVE_SAMPLES + 5000
    assert sum(draw_q.counts) == sum(draw_p.counts) == expected
    assert result.spread == np.std([p.value for p in result.curve[-(len(steps) // 4) :]])


@pytest.mark.parametrize(
    "change", [{}, {"dropout": 0.5, "activation_noise": 0.1}, {"gradient_penalty": 10.0}]
)
def test_training_in_parts_is_training_at_once(change):
    options = dataclasses.replace(SMALL, **change)
    whole, parts, other = ratio(options), ratio(options), ratio(options, seed=1)
    whole.train(7)
    for steps in (3, 0, 4):
        parts.train(steps)
    other.train(7)
    assert whole.steps == parts.steps == 7
    for one, same in zip(weights(whole), weights(parts), strict=True):
        np.testing.assert_allclose(one, same, rtol=1e-4, atol=1e-6)
    assert not np.allclose(weights(whole)[0], weights(other)[0], atol=1e-3)


def test_layers_and_units():
    options = RatioOptions(hidden_layers=5, units=10)
    shapes = [w.shape for w in weights(ratio(options))]
    kernels = [(2, 10), *[(10, 10)] * 4, (10, 1)]
    assert shapes == [shape for k in kernels for shape in (k, k[1:])]


@pytest.mark.parametrize("change", [{"dropout": 0.5}, {"activation_noise": 0.5}])
def test_noise_is_of_the_training_only(change):
    trained, z = ratio(dataclasses.replace(SMALL, **change)), tf.ones((1, 2))
    trained.train(5)
    logits = {float(trained.critic(z, training=True)[0]) for _ in range(3)}
    assert len(logits) == 3
    np.testing.assert_array_equal(trained.log_ratio(z), trained.log_ratio(z))


def test_penalty_holds_the_slope_at_one():
    """Of two laws far apart, whose log-ratio is far steeper."""
    slopes = {}
    for weight in (0.0, 100.0):
        options = dataclasses.replace(SMALL, gradient_penalty=weight)
        trained = DensityRatio(Normal(3, 0.3, 2, 1), Normal(0, 1, 2, 2), 2, options)
        trained.train(300)
        z = tf.constant([[1.5, 1.5], [2.5, 2.5]])
        with tf.GradientTape() as tape:
            tape.watch(z)
            logit = trained.critic(z)
        slopes[weight] = np.linalg.norm(tape.gradient(logit, z), axis=1)
    np.testing.assert_allclose(slopes[100.0], 1, atol=0.2)
    assert slopes[0.0].min() > 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_layers": 0}, "hidden_layers=0 is not accepted: expected above 0"),
        ({"learning_rate": -1.0}, "learning_rate=-1.0 is not accepted: expected above 0"),
        ({"activation_noise": -0.1}, "activation_noise=-0.1 is not accepted: expected 0 or more"),
        ({"dropout": 1.0}, "dropout=1.0 is not accepted: expected below 1"),
        ({"learning_rate": math.nan}, "learning_rate=nan is not accepted"),
    ],
)
def test_options_out_of_range(change, message):
    with pytest.raises(UsageError, match=message):
        RatioOptions(**change)


def test_guards():
    with pytest.raises(UsageError, match="1 samples are too few"):
        ratio().estimate(1)
    broken = ratio()
    broken.critic.stack.layers[-1].bias.assign([math.nan])
    with pytest.raises(UsageError, match="the logit is not finite after 0 updates"):
        broken.estimate(2)
    nan = DensityRatio(lambda n: np.full((n, 1), np.nan, np.float32), Normal(), 1, SMALL)
    with pytest.raises(UsageError, match="not finite after 2 updates"):
        nan.train(2)
