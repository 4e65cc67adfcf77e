"""The marginal KL of a posterior with a flow: a run, its SavedModel, and what cannot be had."""

import numpy as np
import pytest
import tensorflow as tf

from tests.export.test_saved_model import make_run
from zoo.config import EvaluationConfig
from zoo.data.images import ImageDataset, Split
from zoo.errors import UsageError
from zoo.evaluation.gaussians import gaussian_kl, log_normal
from zoo.evaluation.latent.aggregate_posterior import draw_aggregate, draw_through_flow
from zoo.evaluation.latent.marginal_kl import MarginalKLMetric, monte_carlo_kl
from zoo.evaluation.latent.population_kl import PopulationKL
from zoo.evaluation.subject.encodings import encode_dataset, images_at
from zoo.evaluation.subject.subject import Subject
from zoo.export.saved_model import export_saved_model
from zoo.records import Record

SIZES = {"train": 9, "validation": 4, "test": 3}
FLOW = {"model": "vae", "posterior": "real_nvp"}
SETTINGS = EvaluationConfig(num_samples=60, seed=2)


@pytest.fixture(scope="module")
def dataset():
    rng = np.random.default_rng(1)
    images = {k: rng.integers(0, 256, (n, 28, 28, 3), dtype=np.uint8) for k, n in SIZES.items()}
    return ImageDataset("tiny", {k: Split(v) for k, v in images.items()}, {})


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    run = make_run(tmp_path_factory.mktemp("flow") / "run", FLOW)
    head = run.model.encoder.head
    for variable in run.model.encoder.trainable_variables:  # a posterior narrow enough to tell
        variable.assign(0.2 * variable)
    assert len(head.nets) == 8
    run.model.step.assign(8)
    run.checkpoints.save(run.model)
    return run


@pytest.fixture(scope="module")
def subject(run):
    return Subject.of_run(run)


def test_agrees_with_all_pairs_by_tfp(run, subject, dataset):
    records = {
        r.metric: r
        for r in MarginalKLMetric().measure(subject, dataset, SETTINGS)
        if isinstance(r, Record)
    }
    encodings = encode_dataset(subject, dataset)
    assert encodings.flow and encodings.mean.shape == (13, 3)
    draws = list(draw_through_flow(subject, dataset, encodings, 60, seed=2))
    z = np.concatenate([block.z for block in draws])
    images = tf.constant(images_at(dataset, np.arange(13)) / np.float32(255))
    q = run.model.posterior(images)
    pairs = q.log_prob(tf.tile(z[:, None], (1, 13, 1))).numpy()
    log_q = np.logaddexp.reduce(pairs.astype(np.float64), axis=1) - np.log(13)
    log_p = run.model.prior().log_prob(z).numpy()
    # The known mean of c replaces that of these draws.
    block = draws[0]
    c = log_normal(block.base, encodings.mean[block.example], encodings.stddev[block.example])
    c -= log_normal(block.base)
    known = gaussian_kl(encodings.mean, encodings.stddev).mean()
    terms = (log_q - log_p).astype(np.float64)
    slope = np.cov(terms, c)[0, 1] / c.var(ddof=1)
    expected = terms.mean() - slope * (c.mean() - known)
    assert records["marginal_kl"].value == pytest.approx(expected, abs=2e-3)
    assert records["marginal_kl"].n == 60 and records["average_kl"].n == 13


def test_average_kl_and_value_are_unbiased(run, subject, dataset):
    encodings = encode_dataset(subject, dataset)
    runs = [monte_carlo_kl(subject, dataset, encodings, 200, seed) for seed in range(20)]
    images = tf.constant(images_at(dataset, np.arange(13)) / np.float32(255))
    q = run.model.posterior(images)
    z = q.sample(4000, seed=0)
    log_q, log_p = q.log_prob(z).numpy(), run.model.prior().log_prob(z).numpy()
    pairs = q.log_prob(tf.reshape(z, (-1, 1, 3))).numpy().astype(np.float64)
    mixture = np.logaddexp.reduce(pairs, axis=1).reshape(log_q.shape) - np.log(13)
    for name, terms in (("average_kl", log_q - log_p), ("value", mixture - log_p)):
        found = np.array([getattr(result, name) for result in runs])
        error = np.hypot(found.std() / 20**0.5, terms.std() / terms.size**0.5)
        assert found.mean() == pytest.approx(terms.mean(), abs=4 * error)
        assert error < 0.05


def test_the_populations_interval(subject, dataset):
    PopulationKL().check(subject, dataset, SETTINGS)
    found = PopulationKL().measure(subject, dataset, SETTINGS)
    records = {r.metric: r for r in found if isinstance(r, Record)}
    lower, upper = (records[f"population_kl_{end}"] for end in ("lower", "upper_unseen"))
    assert (lower.n, upper.n, upper.split) == (3, 7, "validation+test")
    encodings = encode_dataset(subject, dataset, ("validation", "test"))
    expected = monte_carlo_kl(
        subject, dataset, encodings, SETTINGS.num_samples, SETTINGS.seed, ("validation", "test")
    )
    assert upper.value == expected.value
    assert upper.standard_error == expected.population_standard_error
    assert lower.details["posterior"] == "flow" and 0 <= lower.value < upper.value


@pytest.mark.slow
def test_a_saved_model_gives_the_same(run, subject, dataset, tmp_path):
    served = Subject.of_saved_model(export_saved_model(run, tmp_path, "flow"))
    one, other = (
        [r.value for r in MarginalKLMetric().measure(s, dataset, SETTINGS) if isinstance(r, Record)]
        for s in (subject, served)
    )
    np.testing.assert_allclose(one, other, rtol=1e-5)


def test_the_cache_remembers_the_flow(subject, dataset, tmp_path):
    for _ in range(2):
        encodings = encode_dataset(subject, dataset, cache=tmp_path / "e.npz")
        assert encodings.flow
    with pytest.raises(UsageError, match="the posterior is a flow"):
        next(draw_aggregate(encodings, 5, 0))


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        (("z", "base_mean", "base_stddev"), "a flow that depends on the image"),
        (("z",), "its encode gives z; expected mean and stddev"),
    ],
)
def test_refused_before_any_work(dataset, outputs, message):
    images = tf.TensorSpec([None, 28, 28, 3], tf.float32, name="images")
    encode = tf.function(lambda images: dict.fromkeys(outputs, images[:, 0, 0]), [images])
    other = Subject("other", {"encode": encode.get_concrete_function()}, "estimate", "weights", 1)
    with pytest.raises(UsageError, match=message):
        MarginalKLMetric().check(other, dataset, SETTINGS)
