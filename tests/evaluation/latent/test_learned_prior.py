"""What is measured against p(z) asks the subject for it: a VAE whose pseudo-inputs are the encoded
images themselves has q(z) = p(z)."""

import numpy as np
import pytest

from tests.export.runs import make_run
from zoo.config import EvaluationConfig
from zoo.data.images import ImageDataset, Split
from zoo.errors import UsageError
from zoo.evaluation.latent.code_samplers import Aggregate
from zoo.evaluation.latent.density_model_kl import density_model_kl
from zoo.evaluation.latent.density_ratio_kl import DensityRatioKLMetric
from zoo.evaluation.latent.low_posterior import LowPosterior
from zoo.evaluation.latent.marginal_kl import MarginalKLMetric
from zoo.evaluation.likelihood.iwae import Iwae
from zoo.evaluation.subject.subject import Subject
from zoo.evaluation.subject.walks import traversal
from zoo.export.saved_model import export_saved_model
from zoo.records import Record

SIZES = {"train": 9, "validation": 4, "test": 3}
N = 13
SETTINGS = EvaluationConfig(num_samples=400, seed=2, score="log_q_minus_log_p", train_steps=100)


@pytest.fixture(scope="module")
def dataset():
    rng = np.random.default_rng(1)
    images = {k: rng.integers(0, 256, (n, 28, 28, 3), dtype=np.uint8) for k, n in SIZES.items()}
    return ImageDataset("tiny", {k: Split(v) for k, v in images.items()}, {})


@pytest.fixture(scope="module")
def run(tmp_path_factory, dataset):
    variant = {"model": "vae", "prior": "vamp", "components": N}
    run = make_run(tmp_path_factory.mktemp("vamp") / "run", variant)
    pixels = np.concatenate([dataset.split(split).images for split in ("train", "validation")])
    run.model.prior_head.free.assign(pixels / np.float32(255))
    kernel = run.model.encoder.head.from_features.kernel
    kernel.assign(kernel * np.repeat(np.float32([20, 1]), 3))  # images whose codes lie apart
    run.model.step.assign(8)
    run.checkpoints.save(run.model)
    return run


@pytest.fixture(scope="module")
def saved_model(run, tmp_path_factory):
    return export_saved_model(run, tmp_path_factory.mktemp("served"), "vamp")


@pytest.fixture(scope="module", params=["run", "saved_model"])
def subject(request, run, saved_model):
    return Subject.of_run(run) if request.param == "run" else Subject.of_saved_model(saved_model)


def measured(metric, subject, dataset):
    metric.check(subject, dataset, SETTINGS)
    records = [r for r in metric.measure(subject, dataset, SETTINGS) if isinstance(r, Record)]
    return {record.metric: record for record in records}


def test_the_marginal_kl_is_zero_and_the_average_kl_the_information(subject, dataset):
    records = measured(MarginalKLMetric(), subject, dataset)
    assert records["marginal_kl"].value == pytest.approx(0, abs=1e-4)
    assert 0.3 < records["average_kl"].value < np.log(N)
    error = 4 * records["average_kl"].standard_error + 0.05
    assert records["mutual_information"].value == pytest.approx(
        records["average_kl"].value, abs=1e-4
    )
    aggregate = Aggregate.of(subject, dataset)
    z = np.concatenate(list(aggregate.blocks(2000, 0)))
    moments = aggregate.encodings.mean, aggregate.encodings.stddev
    pairs = -0.5 * (((z[:, None] - moments[0]) / moments[1]) ** 2).sum(-1)
    pairs -= np.log(moments[1]).sum(-1)
    shares = np.exp(pairs - np.logaddexp.reduce(pairs, axis=1, keepdims=True))
    entropy = -(shares * np.log(np.maximum(shares, 1e-300))).sum(1).mean()
    assert records["average_kl"].value == pytest.approx(np.log(N) - entropy, abs=error)


def test_low_posterior_draws_from_the_prior(subject, dataset):
    records = measured(LowPosterior(), subject, dataset)
    assert records["low_posterior_log_q_prior"].n == 400
    z = subject.all("sample_prior", seed=2, count=400)["z"]
    expected = subject.log_prior(z).mean()  # which is log q here
    assert records["low_posterior_log_q_prior"].value == pytest.approx(expected, abs=1e-4)


def test_density_ratio_of_equal_samplers(subject, dataset):
    records = measured(DensityRatioKLMetric(), subject, dataset)
    assert abs(records["density_ratio_kl"].value) < 0.5
    assert records["density_ratio_kl"].details["monte_carlo_kl"] == pytest.approx(0, abs=1e-4)


def test_a_density_model_that_is_the_prior_gives_zero(run, subject, dataset):
    blocks = Aggregate.of(subject, dataset).blocks(300, 1)
    found = density_model_kl({"it": run.model.prior()}, map(np.float32, blocks), subject.log_prior)
    assert found["it"].value == pytest.approx(0, abs=1e-4)


def test_iwae_sums_weights_of_this_prior(subject, run, dataset):
    record = measured(Iwae(), subject, dataset)["iwae"]
    images = dataset.split("test").images / np.float32(255)
    rows = [subject.all("elbo", images=images, seed=2, first_row=3 * i)["elbo"] for i in range(50)]
    expected = np.logaddexp.reduce(np.float64(rows), axis=0) - np.log(50)
    assert record.value == pytest.approx(expected.mean(), rel=1e-6)


def test_prior_draws_are_fresh(subject):
    draw = subject.prior_sampler(3, seed=0)
    one, other = draw(5), draw(4)
    np.testing.assert_array_equal(
        np.concatenate([one, other]), subject.all("sample_prior", seed=0, count=9)["z"]
    )


def test_dimensions_of_such_a_prior_are_not_walked(subject, dataset):
    with pytest.raises(UsageError, match=r"its prior is vamp, whose dimensions .* expected N\(0"):
        traversal(subject, dataset, rows=2)


def test_a_saved_model_without_its_prior_is_refused_in_one_line(run, dataset, tmp_path):
    names = ("encode", "decode", "sample", "sample_posterior", "elbo")
    bare = Subject.of_saved_model(export_saved_model(run, tmp_path, "bare", signatures=names))
    for metric in (MarginalKLMetric(), LowPosterior(), DensityRatioKLMetric()):
        with pytest.raises(UsageError, match="has no signature 'log_prior': it was not exported"):
            metric.check(bare, dataset, SETTINGS)
