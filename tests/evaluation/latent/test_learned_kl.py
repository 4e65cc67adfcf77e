"""The metrics of Algorithms 3 and 4 on fake models; the values themselves are tested beside their
estimators."""

import numpy as np
import pytest

from tests.evaluation.latent.test_code_samplers import dataset, fake  # noqa: F401  a fixture
from zoo.config import EvaluationConfig
from zoo.data.images import ImageDataset
from zoo.errors import UsageError
from zoo.evaluation.latent.density_model_kl import DensityModelKLMetric
from zoo.evaluation.latent.density_ratio_kl import DensityRatioKLMetric
from zoo.evaluation.latent.marginal_kl import MarginalKLMetric
from zoo.evaluation.protocol import Picture
from zoo.evaluation.subject.subject import Subject
from zoo.pictures import save_picture
from zoo.records import Record

BOUNDS = ["average_kl", "marginal_kl_floor", "log_n"]
SETTINGS = EvaluationConfig("test", num_samples=600, seed=3, train_steps=3)
RATIO = [f"density_ratio_kl{ending}" for ending in ("", "_donsker_varadhan", "_nwj")]
MODELS = [f"density_model_kl_{m}" for m in ("gaussian", "gmm", "gmm_full_10", "maf", "lstm")]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr("zoo.evaluation.latent.density_model_kl.FIT_SAMPLES", 300)
    monkeypatch.setattr("zoo.evaluation.latent.density_model_kl.COMPONENTS", (10,))


def measure(metric, dataset, kind):  # noqa: F811
    found = list(metric().measure(fake(kind)[0], dataset, SETTINGS))
    records = [item for item in found if isinstance(item, Record)]
    return records, [item for item in found if isinstance(item, Picture)]


@pytest.mark.parametrize(
    ("metric", "names"), [(DensityRatioKLMetric, RATIO), (DensityModelKLMetric, MODELS)]
)
@pytest.mark.parametrize("kind", ["gaussian", "deterministic", "implicit"])
def test_bounds_stand_beside_the_values_where_there_are_any(
    dataset,  # noqa: F811
    tmp_path,
    metric,
    names,
    kind,
):
    records, (picture,) = measure(metric, dataset, kind)
    gaussian = kind == "gaussian"
    assert [r.metric for r in records] == names + (BOUNDS if gaussian else [])
    for record in records[: len(names)]:
        assert np.isfinite(record.value) and record.standard_error > 0
        assert (record.n, record.split) == (600, "train+validation")
        assert "nats" in record.definition and record.details["posterior"] == kind
        assert ("monte_carlo_kl" in record.details) == gaussian
        network = record.metric.endswith(("maf", "lstm")) or metric is DensityRatioKLMetric
        assert record.details["steps" if network else "fit_samples"] == (3 if network else 300)
    if gaussian:
        subject, _ = fake(kind)
        expected = {r.metric: r for r in measure_marginal_kl(subject, dataset)}
        assert [r for r in records if r.metric in BOUNDS] == [expected[name] for name in BOUNDS]
        assert records[0].details["monte_carlo_kl"] == expected["marginal_kl"].value
    save_picture(tmp_path / "picture.png", picture.content)
    assert (tmp_path / "picture.png").stat().st_size > 5000
    assert ("Algorithm 2" in picture.caption) == gaussian


def test_a_gaussian_reference_needs_no_classifier_for_its_own_part(dataset):  # noqa: F811
    settings = EvaluationConfig("test", 2000, seed=3, train_steps=3, reference="gaussian")
    found = list(DensityRatioKLMetric().measure(fake("gaussian")[0], dataset, settings))
    records = [item for item in found if isinstance(item, Record)]
    assert [r.metric for r in records] == RATIO + BOUNDS
    known = records[0].details["reference_alone"]
    gaussian = measure(DensityModelKLMetric, dataset, "gaussian")[0][0]
    assert known == pytest.approx(gaussian.value, rel=0.05) and known > 1
    for record in records[:3]:  # a classifier of three updates tells nothing yet
        assert record.value == pytest.approx(known, rel=0.2)
        assert "r the Gaussian of q's moments" in record.definition


def measure_marginal_kl(subject, dataset):  # noqa: F811
    found = MarginalKLMetric().measure(subject, dataset, SETTINGS)
    return [item for item in found if isinstance(item, Record)]


@pytest.mark.parametrize("metric", [DensityRatioKLMetric(), DensityModelKLMetric()])
def test_refused_before_any_work(dataset, metric):  # noqa: F811
    subject, model = fake("gaussian")
    metric.check(subject, dataset, SETTINGS)
    with pytest.raises(UsageError, match="num_samples=2 is too few for density_"):
        metric.check(subject, dataset, EvaluationConfig(num_samples=2))
    train = ImageDataset("train", {"train": dataset.split("train")}, {})
    with pytest.raises(UsageError, match="split='validation' is not in train"):
        metric.check(subject, train, SETTINGS)
    gan = Subject("gan", {"sample": None}, "not_available", "weights", 1)
    with pytest.raises(UsageError, match="gan has no signature 'sample_posterior'"):
        metric.check(gan, dataset, SETTINGS)
    assert model.encoded == 0
