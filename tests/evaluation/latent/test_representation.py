import math

import numpy as np
import pytest
import tensorflow as tf

from tests.evaluation.linear_gaussian import dataset, subject
from zoo.config import EvaluationConfig
from zoo.errors import UsageError
from zoo.evaluation.latent.active_units import active_units
from zoo.evaluation.latent.representation import (
    Representation,
    dense_hoyer,
    dimensions_of_share,
    effective_rank,
    hoyer,
    participation_ratio,
    rotated_participation_ratio,
    with_error,
)
from zoo.evaluation.subject.subject import Subject
from zoo.records import Record


@pytest.mark.parametrize(("size", "k"), [(7, 3), (1000, 20), (5, 1)])
def test_equal_dimensions_count_each_and_empty_ones_none(size, k):
    amounts = np.zeros(size)
    amounts[:k] = 0.3
    assert participation_ratio(amounts) == pytest.approx(k)
    assert effective_rank(amounts) == pytest.approx(k)
    assert dimensions_of_share(amounts) == math.ceil(0.9 * k)


def test_geometric_amounts():
    amounts = 0.9 ** np.arange(400)
    assert participation_ratio(amounts) == pytest.approx(19, rel=1e-9)
    assert effective_rank(amounts) == pytest.approx(25.811747917131964, rel=1e-9)
    assert dimensions_of_share(amounts) == 22  # 1 - .9^22 = .9015


def test_nothing_at_all_is_no_dimension():
    for of in (participation_ratio, effective_rank, dimensions_of_share):
        assert of(np.zeros(4)) == 0
    assert rotated_participation_ratio(np.ones((5, 4))) == 0


@pytest.mark.parametrize("n", [100, 500])
def test_the_rotated_ratio_is_unbiased(n):
    """Of 200 equal dimensions; as it stands it would be 200 / (1 + 200 / N): 67 and 143."""
    rng = np.random.default_rng(n)
    values = [rotated_participation_ratio(rng.normal(size=(n, 200))) for _ in range(10)]
    assert np.mean(values) == pytest.approx(200, rel=0.02)


def test_a_rotation_changes_the_one_and_not_the_other():
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(2000, 30)) * 0.8 ** np.arange(30)
    turned = codes @ np.linalg.qr(rng.normal(size=(30, 30)))[0]
    ratios = [rotated_participation_ratio(x) for x in (codes, turned)]
    assert ratios[0] == pytest.approx(ratios[1], rel=1e-9) and 4 < ratios[0] < 5
    sparse, dense = (participation_ratio(x.var(axis=0)) for x in (codes, turned))
    assert sparse == pytest.approx(ratios[0], rel=0.05) and dense > 3 * sparse


def test_hoyer_of_known_codes():
    codes = np.zeros((4, 1000))
    codes[0, 7] = -3
    codes[1] = 0.2
    codes[2, :10] = 1
    values = hoyer(codes)  # the last, of zeros alone, has none
    np.testing.assert_allclose(values, [1, 0, 0.9293898888306], atol=1e-12)
    draws = np.random.default_rng(1).normal(size=(200, 1000))
    assert dense_hoyer(1000) == pytest.approx(0.2087156, abs=1e-7)
    assert hoyer(draws).mean() == pytest.approx(dense_hoyer(1000), abs=1e-3)


def test_what_active_units_cannot_tell():
    """20 latents of 1,000 carry the code; the others vary by a hundredth, or all are alike."""
    rng = np.random.default_rng(2)
    deviations = np.sqrt(np.r_[np.full(20, 0.9), np.full(980, 0.012)])
    sparse = deviations * rng.normal(size=(1000, 1000))
    dense = math.sqrt(0.5) * rng.normal(size=(1000, 1000))
    sides = [active_units(codes) for codes in (sparse, dense)]
    assert sides[0].count > 950 and sides[1].count == 1000
    ratios = [participation_ratio(side.variances) for side in sides]
    assert ratios[0] == pytest.approx(54, abs=3) and ratios[1] > 990
    assert hoyer(sparse).mean() == pytest.approx(0.42, abs=0.02)


def test_the_error_is_that_of_other_images():
    def ratio(seed):
        codes = np.random.default_rng(seed).normal(size=(200, 20)) * 0.8 ** np.arange(20)
        return with_error(lambda rows: participation_ratio(codes[rows].var(axis=0)), len(codes))

    values, errors = np.transpose([ratio(seed) for seed in range(40)])
    assert 0.7 < values.std(ddof=1) / errors.mean() < 1.5
    assert with_error(lambda rows: 1.0, 29) == (1.0, None)


def measured(of, **settings):
    metric, settings = Representation(), EvaluationConfig(**settings)
    metric.check(of, dataset(), settings)
    items = list(metric.measure(of, dataset(), settings))
    return {i.metric: i for i in items if isinstance(i, Record)}, items[-1]


OF_KL = ["participation_ratio_kl", "effective_rank_kl", "dims90"]
OF_CODES = ["participation_ratio", "effective_rank", "participation_ratio_rotated", "hoyer"]


def test_records_of_gaussian_and_of_implicit_posteriors():
    records, picture = measured(subject(), split="train")
    assert list(records) == OF_KL + OF_CODES and picture.name == "shares"
    assert all(1 <= records[name].value <= 2.1 for name in records if name != "hoyer")
    assert all(r.n == 90 and r.split == "train" for r in records.values())
    assert records["participation_ratio"].standard_error > 0
    assert records["hoyer"].details["dense_gaussian"] == dense_hoyer(2)
    assert list(measured(subject(closed_form=False))[0]) == OF_CODES


def test_collapsed_codes_have_no_dimension_and_no_sparsity():
    collapsed = Subject(
        "none",
        {"encode": lambda images: {"z": tf.zeros((len(images), 5))}},
        "not_available",
        "weights",
        1,
    )
    records, _ = measured(collapsed)
    assert list(records) == OF_CODES[:3] and {r.value for r in records.values()} == {0}


def test_guards():
    with pytest.raises(UsageError, match="no signature 'encode'"):
        measured(subject("decode"))
    with pytest.raises(UsageError, match="representation of 2 test images: expected at least 3"):
        measured(subject(), num_samples=2)
    odd = Subject("odd", {"encode": lambda images: {"code": images}}, "none", "weights", 1)
    with pytest.raises(UsageError, match="odd: its encode gives code; expected mean or z"):
        measured(odd)
