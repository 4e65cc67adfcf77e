"""The IWAE bound, through nothing but signatures, against exact answers."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import logsumexp

from tests.evaluation.linear_gaussian import dataset, log_evidence, subject
from tests.models.variants import tiny_model
from zoo.config import EvaluationConfig
from zoo.errors import UsageError
from zoo.evaluation.likelihood.iwae import Iwae, iwae_bound, log_weights
from zoo.evaluation.subject.subject import Subject
from zoo.noise import row_noise, row_seeds
from zoo.saved_model.signatures import signature_functions

DATA = dataset()
IMAGES = DATA.split("test").images[:20]


@pytest.mark.parametrize("closed_form", [True, False])
def test_every_weight_under_the_exact_posterior_is_the_evidence(closed_form):
    """p(x, z) / q(z|x) = p(x) whatever z: no draw may differ."""
    for weights in log_weights(subject(closed_form=closed_form), IMAGES, 3, seed=0):
        np.testing.assert_allclose(weights, log_evidence(IMAGES), atol=2e-3, rtol=0)


def test_bound_rises_from_the_elbo_to_the_evidence():
    images = DATA.split("test").images
    weights = np.stack(list(log_weights(subject(width=1.6), images, 100, seed=1)))
    groups = (weights.reshape(-1, k, len(images)) for k in (1, 4, 100))
    bounds = [np.mean([iwae_bound(part) for part in parts]) for parts in groups]
    gaps = log_evidence(images).mean() - bounds
    # One draw: KL(q || posterior), (1.6^2 - 1) / 2 - log 1.6 nats in each of two dimensions.
    assert gaps[0] == pytest.approx(1.6**2 - 1 - 2 * np.log(1.6), abs=0.08)
    # Many: half the variance of w / p(x) over their number, E (w / p)^2 = 1.6^4 / (2 1.6^2 - 1).
    assert gaps[2] == pytest.approx((1.6**4 / (2 * 1.6**2 - 1) - 1) / 200, abs=0.035)
    assert gaps[0] > gaps[1] + 0.2 > gaps[2] + 0.2


def test_both_kinds_of_kl_give_the_same_weights():
    one, other = (
        np.stack(list(log_weights(subject(closed_form=kind, width=0.7), IMAGES, 2, 3)))
        for kind in (True, False)
    )
    np.testing.assert_allclose(one, other, atol=2e-3, rtol=0)
    assert np.abs(one[0] - one[1]).min() > 1e-4


@pytest.mark.parametrize("posterior", ["gaussian", "real_nvp"])
def test_weights_of_a_model_are_those_of_its_distributions(posterior):
    """Seeds give `elbo` and `sample_posterior` one draw; densities by TFP."""
    model = tiny_model({"model": "vae", "posterior": posterior})
    for variable in model.trainable_variables:
        if "kernel" in variable.name:
            variable.assign(0.1 * np.random.default_rng(1).standard_normal(variable.shape))
    of_model = Subject("tiny", signature_functions(model), model.bound_status, model.fingerprint, 1)
    images = np.random.default_rng(0).integers(0, 256, (6, 28, 28, 3), dtype=np.uint8)
    floats = tf.constant(images / np.float32(255))
    for draw, weights in enumerate(log_weights(of_model, images, 2, seed=4)):
        q = model.posterior(floats)
        z = model.draw_posterior(q, row_noise(row_seeds(4, 6 * draw, 6)))
        expected = model.likelihood(z).log_prob(floats) + model.prior().log_prob(z) - q.log_prob(z)
        np.testing.assert_allclose(weights, expected, rtol=1e-5)


def test_bound_of_given_weights():
    weights = np.random.default_rng(0).normal(-500, 3, size=(7, 4))
    expected = logsumexp(weights, axis=0) - np.log(7)
    np.testing.assert_allclose(iwae_bound(iter(weights)), expected, rtol=1e-12)
    for bad, message in (([], "0 draws"), ([np.array([np.nan])], "no weight")):
        with pytest.raises(UsageError, match=message):
            iwae_bound(bad)


def test_records():
    settings = EvaluationConfig("validation", num_samples=30, draws=3)
    (record,) = Iwae().measure(subject(), DATA, settings)
    assert (record.metric, record.n, record.split) == ("iwae", 30, "validation")
    assert record.details == {"draws": 3} and "k = 3 draws" in record.definition
    expected = log_evidence(DATA.split("validation").some(30).images)
    assert record.value == pytest.approx(expected.mean(), abs=2e-3)
    assert record.standard_error == pytest.approx(expected.std(ddof=1) / 30**0.5, rel=1e-2)


def replaced(signature, change):
    """The model with the outputs of one signature changed."""
    model = subject()
    function = model.functions[signature]
    model.functions[signature] = lambda **inputs: change(function(**inputs))
    return model


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda: subject("elbo"), "no signature 'sample_posterior'"),
        (lambda: subject("elbo", "sample_posterior"), "no signature 'encode'"),
        (lambda: replaced("encode", lambda o: {"z": o["z"]}), "expected mean and stddev"),
        (lambda: replaced("elbo", lambda o: {**o, "kl": 2 * o["kl"]}), "mean and stddev of its"),
        (
            lambda: replaced("elbo", lambda o: {"elbo_ratio_estimate": o["elbo"], "kl": o["kl"]}),
            "its elbo gives elbo_ratio_estimate, kl; expected elbo, log_likelihood and kl",
        ),
    ],
)
def test_refused_where_a_draw_has_no_weight(broken, message):
    with pytest.raises(UsageError, match=message):
        Iwae().check(broken(), DATA, EvaluationConfig())
