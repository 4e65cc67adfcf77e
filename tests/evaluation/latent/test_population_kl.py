"""The population's KL from below and above, on encoders whose population is known."""

import numpy as np
import pytest
from scipy.stats import norm

from tests.evaluation.latent.test_code_samplers import dataset, fake  # noqa: F401  a fixture
from zoo.config import EvaluationConfig
from zoo.data.images import ImageDataset
from zoo.distributions.gaussian_density import Gaussian
from zoo.errors import UsageError
from zoo.evaluation.latent import population_kl as module
from zoo.evaluation.latent.aggregate_posterior import Draws
from zoo.evaluation.latent.marginal_kl import marginal_kl
from zoo.evaluation.latent.population_kl import ONE_SIDED, PopulationKL, lower_end
from zoo.evaluation.latent.reference_density import PRIOR, Stack, mixture_weights
from zoo.evaluation.protocol import Picture
from zoo.evaluation.subject.encodings import Encodings
from zoo.pictures import save_picture
from zoo.records import Record

UPPER = ["population_kl_upper", "population_average_kl"]
NAMES = ["population_kl_lower", *UPPER, *(f"{name}_unseen" for name in UPPER)]


def encoder(kind, d, stddev, n, rng):
    """Means whose q(z), with this standard deviation, is known over all images."""
    noise = rng.standard_normal((n, d))
    mean = noise * np.sqrt((1.69 if kind == "wide" else 1) - stddev**2)
    if kind == "corr":  # pairs of correlation 0.8
        mean[:, 1::2] = 0.8 * mean[:, ::2] + 0.6 * mean[:, 1::2]
    if kind == "ring":
        angle = rng.uniform(0, 2 * np.pi, n)
        mean[:, :2] = 1.5 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return mean, np.full((n, d), stddev)


def ends(kind, d, stddev, seed=0, sizes=(2000, 500, 1000)):
    rng = np.random.default_rng(seed)
    parts = [encoder(kind, d, stddev, n, rng) for n in sizes]
    codes = [mean + stddev * rng.standard_normal(mean.shape) for mean, stddev in parts]
    lower = lower_end(*codes, seed, Gaussian.of_mixture(*parts[0]))
    example = rng.permutation(sizes[0])
    mean, stddev = parts[0]
    z = mean[example] + stddev[example] * rng.standard_normal(mean.shape)
    return lower, marginal_kl(Draws(example, z, z, np.zeros(len(z))), mean, stddev)


@pytest.mark.parametrize(
    ("kind", "d", "stddev", "kl", "short"),
    [
        ("match", 10, 0.3, 0.0, 0.02),
        ("wide", 2, 0.3, 0.69 - np.log(1.69), 0.04),
        ("wide", 10, 0.3, 0.826357355330, 0.1),
        ("corr", 10, 0.3, 1.88747135575769, 0.1),
        ("ring", 2, 0.3, 0.605143841279, 0.05),
        ("ring", 10, 0.3, 0.605143841279, 0.25),
        ("ring", 2, 0.5, 0.277258174766, 0.05),
    ],
)
def test_the_interval_holds_what_is_known(kind, d, stddev, kl, short):
    lower, upper = ends(kind, d, stddev)
    assert lower.value - 3 * lower.standard_error <= kl
    assert lower.value >= kl - short - 3 * lower.standard_error
    assert upper.value + 3 * upper.population_standard_error >= kl
    assert lower.certified == max(0, lower.value - ONE_SIDED * lower.standard_error) or kl == 0
    assert lower.t == 1000


def test_the_upper_end_is_far_where_codes_tell_their_images():
    lower, upper = ends("corr", 10, 0.3)
    assert upper.value == pytest.approx(4.66, abs=0.25)
    assert lower.value == pytest.approx(1.864, abs=0.2)
    assert upper.identification_rate > 0.8


def test_a_stack_is_a_density_and_takes_the_right_candidate():
    rng = np.random.default_rng(0)
    z = 2 + 0.5 * rng.standard_normal((3000, 1))
    models = {
        "right": Gaussian(np.array([2.0]), np.array([[0.25]])),
        "wrong": Gaussian(np.array([-9.0]), np.array([[0.01]])),
    }
    stack = Stack(models, z)
    assert stack.weights["right"] > 0.97 and stack.weights["wrong"] < 1e-9
    assert stack.weights[PRIOR] >= 0.01 and sum(stack.weights.values()) == pytest.approx(1)
    grid = np.linspace(-30, 30, 60_001)[:, None]
    log_ratio = stack.log_ratio(stack.log_ratios(grid))
    density = np.exp(log_ratio + norm.logpdf(grid[:, 0]))
    assert density.sum() * 0.001 == pytest.approx(1, abs=1e-6)
    assert log_ratio.min() >= np.log(stack.weights[PRIOR]) - 1e-12


def test_weights_are_those_of_most_likelihood():
    """Of two densities whose codes come from one in 3 of 4 cases."""
    rng = np.random.default_rng(0)
    z = np.where(rng.random(20_000) < 0.75, -3.0, 3.0) + rng.standard_normal(20_000)
    logs = np.stack([norm.logpdf(z, -3), norm.logpdf(z, 3)])
    np.testing.assert_allclose(mixture_weights(logs), [0.75, 0.25], atol=0.01)
    np.testing.assert_allclose(mixture_weights(logs - 1000), mixture_weights(logs))


def test_what_the_fit_saw_flatters_it():
    """Why weights and value come from other codes: on its own the fit is above the truth."""
    rng = np.random.default_rng(0)
    fit, other, test = (rng.standard_normal((n, 10)) for n in (300, 300, 1000))
    honest, flattered = lower_end(fit, other, test), lower_end(fit, fit, fit)
    assert honest.value <= 3 * honest.standard_error < 0.1 < flattered.value


def measure(dataset, kind):  # noqa: F811
    subject, _ = fake(kind)
    metric, settings = PopulationKL(), EvaluationConfig(num_samples=60, seed=3)
    metric.check(subject, dataset, settings)
    found = list(metric.measure(subject, dataset, settings))
    records = {item.metric: item for item in found if isinstance(item, Record)}
    return records, [item for item in found if isinstance(item, Picture)]


@pytest.mark.parametrize("kind", ["gaussian", "implicit", "deterministic"])
def test_the_upper_end_stands_where_there_is_a_density(dataset, tmp_path, kind):  # noqa: F811
    records, (picture,) = measure(dataset, kind)
    assert list(records) == (NAMES if kind == "gaussian" else NAMES[:1])
    lower = records["population_kl_lower"]
    assert (lower.n, lower.split) == (4, "test") and "n = 4" in lower.warnings[0]
    assert lower.value >= lower.details["certified"] >= 0
    assert set(lower.details["weights"]) == set(lower.details["singles"]) > {PRIOR, "gaussian"}
    if kind == "gaussian":
        seen, unseen = (records[f"population_kl_upper{ending}"] for ending in ("", "_unseen"))
        assert (seen.n, seen.split) == (8, "train+validation")
        assert (unseen.n, unseen.split) == (7, "validation+test")
        assert seen.details["certified"] > seen.value > 0
    save_picture(tmp_path / "picture.png", picture.content)
    assert (tmp_path / "picture.png").stat().st_size > 5000


def test_an_encoder_that_knows_its_own_images_is_told(dataset, monkeypatch):  # noqa: F811
    encode_dataset = module.encode_dataset

    def narrower(subject, dataset, splits=("train", "validation"), cache=None):  # noqa: F811
        encodings = encode_dataset(subject, dataset, splits, cache)
        return Encodings(encodings.mean, encodings.stddev * 1e-3)

    monkeypatch.setattr(module, "encode_dataset", narrower)
    records, _ = measure(dataset, "gaussian")
    (warning,) = records["population_kl_upper"].warnings
    assert "take population_kl_upper_unseen" in warning


def test_refused_before_any_work(dataset):  # noqa: F811
    subject, model = fake("gaussian")
    with pytest.raises(UsageError, match="num_samples=2 is too few for population_kl"):
        PopulationKL().check(subject, dataset, EvaluationConfig(num_samples=2))
    parts = {name: dataset.split(name) for name in ("train", "validation")}
    with pytest.raises(UsageError, match="split='test' is not in two"):
        PopulationKL().check(subject, ImageDataset("two", parts, {}), EvaluationConfig())
    assert model.encoded == 0
