import numpy as np
import pytest

from zoo.errors import UsageError
from zoo.evaluation.samples.inception_score import inception_score


def test_uniform_predictions_score_one():
    result = inception_score(np.full((200, 7), 1 / 7))
    assert result.value == pytest.approx(1, abs=1e-12)
    assert result.standard_deviation == pytest.approx(0, abs=1e-12)


def test_one_class_scores_one():
    assert inception_score(np.eye(10)[np.zeros(100, int)]).value == pytest.approx(1, abs=1e-12)


def test_confident_and_balanced_predictions_score_the_number_of_classes():
    """Sorted by class, without the shuffle every split would hold one class and score 1."""
    result = inception_score(np.repeat(np.eye(10), 5000, axis=0))
    assert result.value == pytest.approx(10, rel=2e-3)
    assert result.value < 10


def test_value_is_that_of_the_definition():
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.full(4, 0.3), size=20_000)
    marginal = probabilities.mean(axis=0)
    divergence = (probabilities * np.log(probabilities / marginal)).sum(axis=1)
    result = inception_score(probabilities, splits=2)
    assert result.value == pytest.approx(np.exp(divergence.mean()), rel=1e-3)
    assert result.standard_error == pytest.approx(result.standard_deviation, rel=1e-6)


def test_the_corrected_score_is_that_of_many_images():
    """Dirichlet(0.1) over 10 classes, 60 sets of 500 images; the truth from two million."""
    generator = np.random.default_rng(3)

    def draw(count):
        return generator.dirichlet(np.full(10, 0.1), size=count)

    many = draw(2_000_000)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.nan_to_num(many * np.log(many * 10))
    truth = np.exp(terms.sum(axis=1).mean())
    results = [inception_score(draw(500)) for _ in range(60)]
    corrected = np.array([r.corrected for r in results])
    error = corrected.std(ddof=1) / np.sqrt(60)
    assert abs(corrected.mean() - truth) < 3 * error
    assert np.mean([r.value for r in results]) < truth - 10 * error  # the mean over splits
    spread = corrected.std(ddof=1) / np.mean([r.corrected_standard_error for r in results])
    assert 0.7 < spread < 1.4


@pytest.mark.parametrize(
    ("probabilities", "splits", "message"),
    [
        (np.full((99, 2), 0.5), 10, "99 images are too few"),
        (np.full((100, 2), np.nan), 10, "not finite"),
        (np.full((100, 2), 0.9), 10, "does not sum to 1"),
        (np.tile([1.5, -0.5], (100, 1)), 10, "not positive"),
        (np.full(100, 0.5), 10, "have shape"),
        (np.full((100, 2), 0.5), 1, "splits=1"),
    ],
)
def test_guards(probabilities, splits, message):
    with pytest.raises(UsageError, match=message):
        inception_score(probabilities, splits=splits)
