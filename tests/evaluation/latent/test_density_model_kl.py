"""Algorithm 4 on samplers whose KL is known."""

import keras
import numpy as np
import pytest
from scipy.stats import norm

from tests.distributions.test_density_models import flow, lstm, mixture_of
from zoo.distributions.density_models import (
    AutoregressiveLSTM,
    DiagonalMixture,
    MaskedAutoregressiveFlow,
)
from zoo.errors import UsageError
from zoo.evaluation.gaussians import log_normal
from zoo.evaluation.latent.aggregate_posterior import log_aggregate_posterior
from zoo.evaluation.latent.density_model_kl import (
    NETWORKS,
    best_mixture,
    density_model_kl,
    fit_density_model,
    maximum_likelihood,
)
from zoo.evaluation.statistics import standard_error

COVARIANCE = np.array([[1.0, 0.6, 0.3], [0.6, 0.5, 0.2], [0.3, 0.2, 0.8]])
MEAN = np.array([0.5, -1.0, 0.0])
# KL(N(m, S) || N(0, I)) = 0.5 [tr S + m.m - D - log det S]
KL = 0.5 * (np.trace(COVARIANCE) + MEAN @ MEAN - 3 - np.linalg.slogdet(COVARIANCE)[1])


def gaussian(seed):
    generator = np.random.default_rng(seed)
    return lambda count: generator.multivariate_normal(MEAN, COVARIANCE, count).astype(np.float32)


@pytest.mark.parametrize(
    "model",
    [
        lambda: MaskedAutoregressiveFlow(3, blocks=2, hidden=16),
        lambda: AutoregressiveLSTM(3, units=8),
    ],
)
def test_a_network_learns_a_gaussian(model):
    keras.utils.set_random_seed(0)
    model = model()
    model.build()
    maximum_likelihood(model, gaussian(0), learning_rate=5e-3).train(800)
    result = density_model_kl({"it": model}, [gaussian(1)(20_000)])["it"]
    assert result.value <= KL + 4 * result.standard_error
    assert result.value == pytest.approx(KL, abs=0.05 * KL + 4 * result.standard_error)
    assert result.m == 20_000


@pytest.mark.parametrize("name", ["gaussian", "gmm_full_10"])
def test_full_covariance_leaves_nothing_of_a_gaussian(name):
    model = fit_density_model(name, gaussian(0), 3)
    result = density_model_kl({"it": model}, [gaussian(1)(20_000)])["it"]
    assert result.value == pytest.approx(KL, abs=4 * result.standard_error + 0.02)


@pytest.mark.parametrize("name", list(NETWORKS))
def test_a_network_starts_as_the_gaussian(name):
    model, closed = (fit_density_model(n, gaussian(0), 3, steps=0) for n in (name, "gaussian"))
    z = gaussian(1)(600)
    results = density_model_kl({"network": model, "gaussian": closed}, [z])
    assert results["network"].value == pytest.approx(results["gaussian"].value, abs=1e-4)
    np.testing.assert_allclose(model.log_prob(z[:5]), closed.log_prob(z[:5]), atol=1e-3)


def test_a_mixture_falls_short_by_what_it_cannot_fit(monkeypatch):
    """One diagonal component leaves KL(q||r) = the total correlation."""
    monkeypatch.setattr("zoo.evaluation.latent.density_model_kl.FIT_SAMPLES", 5000)
    models = {"one": DiagonalMixture.fit(gaussian(0)(5000), 1, 0)}
    models["gmm"] = fit_density_model("gmm", gaussian(0), 3)
    results = density_model_kl(models, [gaussian(1)(20_000)])
    correlation = 0.5 * (np.log(np.diag(COVARIANCE)).sum() - np.linalg.slogdet(COVARIANCE)[1])
    error = 4 * results["one"].standard_error
    assert results["one"].value == pytest.approx(KL - correlation, abs=error + 0.01)
    assert results["one"].value < results["gmm"].value < KL + error


def test_more_components_than_the_codes_bear_are_not_taken():
    """Three clusters, 400 codes of ten dimensions: many components would fit single codes."""
    rng = np.random.default_rng(0)

    def draw(count):
        return 4.0 * rng.integers(3, size=(count, 1)) + rng.standard_normal((count, 10))

    z, held_out, fresh = draw(400), draw(400), draw(4000)
    best = best_mixture(z, held_out, seed=0)
    values = {"best": best, "many": DiagonalMixture.fit(z, 300, 0)}
    values = {name: model.log_prob(fresh).mean() for name, model in values.items()}
    assert best.mixture.n_components == 10
    assert values["best"] > values["many"] + 5


def test_more_components_are_taken_where_they_help():
    rng = np.random.default_rng(0)
    centres = 20 * rng.standard_normal((60, 2))

    def draw(count):
        return centres[rng.integers(60, size=count)] + rng.standard_normal((count, 2))

    assert best_mixture(draw(6000), draw(3000), seed=0).mixture.n_components >= 30


@pytest.mark.parametrize("model", [flow, lstm])
def test_zero_at_the_prior(model):
    result = density_model_kl({"it": model(3, perturbation=0)}, [gaussian(0)(500)])["it"]
    assert result.value == pytest.approx(0, abs=1e-5)


@pytest.fixture(scope="module")
def encodings():
    rng = np.random.default_rng(5)
    mean, stddev = rng.normal(size=(40, 3)), np.exp(0.2 * rng.normal(size=(40, 3)) - 1)
    chosen = rng.integers(40, size=3000)
    z = mean[chosen] + stddev[chosen] * rng.normal(size=(3000, 3))
    return z, mean, stddev


@pytest.mark.parametrize("sizes", [(3000,), (1, 999, 2000), (500,) * 6])
def test_the_aggregate_posterior_itself_gives_algorithm_2(encodings, sizes):
    z, mean, stddev = encodings
    terms = log_aggregate_posterior(z, mean, stddev) - log_normal(z)
    blocks = np.split(z, np.cumsum(sizes)[:-1])
    result = density_model_kl({"it": mixture_of(mean, stddev)}, blocks)["it"]
    assert result.value == pytest.approx(terms.mean(), rel=1e-9)
    assert result.standard_error == pytest.approx(standard_error(terms), rel=1e-9)


@pytest.mark.parametrize(
    "model",
    [flow, lstm, lambda size: mixture_of(np.zeros((1, size)), np.ones((1, size)))],
)
def test_no_model_gives_more_than_algorithm_2(encodings, model):
    z, mean, stddev = encodings
    terms = log_aggregate_posterior(z, mean, stddev) - log_normal(z)
    result = density_model_kl({"it": model(3)}, [z])["it"]
    assert result.value < terms.mean() + 4 * standard_error(terms)


def test_all_models_see_the_same_samples():
    class Recorder:
        def __init__(self):
            self.seen = []

        def log_prob(self, z):
            self.seen.append(z)
            return norm.logpdf(z).sum(axis=1)

    one, two = Recorder(), Recorder()
    blocks = [np.ones((300, 2)), np.zeros((7, 2))]
    density_model_kl({"one": one, "two": two}, iter(blocks))
    np.testing.assert_array_equal(np.concatenate(one.seen), np.concatenate(blocks))
    np.testing.assert_array_equal(np.concatenate(two.seen), np.concatenate(blocks))


def test_fits_are_repeatable(monkeypatch):
    monkeypatch.setitem(NETWORKS, "maf", lambda size: MaskedAutoregressiveFlow(size, 2, 8))
    values = [
        density_model_kl(
            {"it": fit_density_model("maf", gaussian(0), 3, steps=3, seed=seed)},
            [gaussian(1)(100)],
        )["it"].value
        for seed in (0, 0, 1)
    ]
    assert values[0] == values[1] != values[2]


def test_guards():
    with pytest.raises(
        UsageError,
        match="'vae' is not known: expected one of gaussian, gmm, gmm_full_10, maf, lstm",
    ):
        fit_density_model("vae", gaussian(0), 3)
    for z, message in ((np.zeros((1, 3)), "it: 1 samples"), (np.full((2, 3), np.nan), "finite")):
        with pytest.raises(UsageError, match=message):
            density_model_kl({"it": flow(3)}, [z])
