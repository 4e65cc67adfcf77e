"""What the audit finds of planted copies, and what it leaves alone."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from scipy.ndimage import gaussian_filter

from zoo.config import EvaluationConfig
from zoo.data.color_mnist import _embedded_digits
from zoo.data.images import ImageDataset, Split
from zoo.errors import UsageError
from zoo.evaluation.protocol import Picture
from zoo.evaluation.samples import memorisation
from zoo.evaluation.samples.copies import c_t, copied_share, left_tail, pooled_labels
from zoo.evaluation.samples.memorisation import (
    ALARM,
    Audit,
    Memorisation,
    TrainingImages,
    blocks,
)
from zoo.evaluation.subject.samples import GivenSamples
from zoo.evaluation.subject.subject import Subject
from zoo.records import Record


def test_the_ten_smallest_all_generated():
    """Of 1000 + 1000 their chance is 9.547e-4; the five tails are paid for."""
    rng = np.random.default_rng(0)
    held_out = 1 + rng.random(1000)
    generated = np.concatenate([np.linspace(0, 0.5, 10), 3 + rng.random(990)])
    assert left_tail(generated, held_out) == pytest.approx(5 * 9.547325826708e-4, rel=1e-10)
    assert left_tail(5 + held_out, held_out) == 1


def test_equal_numbers_are_in_random_order():
    p_values = [left_tail(np.zeros(300), np.zeros(300), seed) for seed in range(100)]
    assert np.mean(np.array(p_values) <= 0.2) < 0.3 and np.std(p_values) > 0.1


def test_the_left_tail_is_no_alarm_where_both_are_alike():
    rng = np.random.default_rng(1)
    p_values = [left_tail(*rng.exponential(size=(2, 200))) for _ in range(400)]
    assert np.mean(np.array(p_values) <= ALARM) <= ALARM


def test_share_of_copies():
    rng = np.random.default_rng(2)
    generated, held_out = 1 + rng.random((2, 2000))
    generated[:100] = 0
    share, error = copied_share(generated, held_out)
    assert share == pytest.approx(0.05, abs=0.01) and 0.003 < error < 0.01
    assert copied_share(held_out, held_out) == (0, 0)
    assert copied_share(np.zeros(50), np.zeros(50)) == (0, 0)


def test_pooled_labels_of_copies():
    """Ten samples at ten of 30 training images, with ten held-out ones: .75^10."""
    train, held_out = 10 * np.eye(40)[:30], 10 * np.eye(40)[30:]
    result = pooled_labels(train, held_out, np.repeat(train[:10], 3, axis=0) * 1.01)
    assert (result.neighbours, result.held_out) == (10, 0)
    assert result.p_value == pytest.approx(0.75**10, rel=1e-12)
    other = pooled_labels(train, held_out, held_out * 1.01)
    assert (other.neighbours, other.held_out, other.p_value) == (10, 10, 1)
    none = pooled_labels(train, held_out, np.zeros((5, 40)))
    assert (none.neighbours, none.p_value) == (0, 1)


def test_c_t_of_all_nearer():
    nearer, further = np.linspace(0, 1, 1000), np.linspace(2, 3, 1000)
    assert c_t(nearer, further) == pytest.approx(-38.72015463311832, rel=1e-12)
    assert c_t(further, nearer) == pytest.approx(38.72015463311832, rel=1e-12)
    assert c_t(nearer, nearer) == pytest.approx(0, abs=1e-12)


def test_c_t_over_cells_is_a_z_score():
    """As published, without the root of the squared weights, its deviation would be 0.35."""
    rng = np.random.default_rng(3)
    cells = np.arange(400) % 8
    scores = [c_t(*rng.random((2, 400)), (cells, cells)) for _ in range(300)]
    assert np.std(scores) == pytest.approx(1, rel=0.12)
    empty = c_t(np.zeros(3), np.ones(3), (np.zeros(3, int), np.ones(3, int)))
    assert empty == 0  # no cell has both


def test_a_shift_by_a_pixel_is_found():
    images = np.zeros((40, 8, 7, 1), np.uint8)
    images[:, 2:-2, 2:-2] = np.random.default_rng(4).integers(0, 256, (40, 4, 3, 1))
    train = TrainingImages(images, seed=0)
    moved = np.roll(images[7:9], (1, -1), axis=(1, 2))
    side = train.side(blocks(moved))
    assert side.nearest.tolist() == [7, 8] and (side.scores["distance"] > 0.1).all()
    np.testing.assert_allclose(side.scores["shift"], 0, atol=1e-6)


DIGITS = _embedded_digits()[0][..., None]


def split_digits(seed, train=3000, held_out=1000):
    """Training, held-out and fresh digits, the last as an honest generator makes them."""
    order = np.random.default_rng(seed).permutation(len(DIGITS))
    ends = (train, train + held_out)
    return [DIGITS[part] / np.float32(255) for part in np.split(order, ends)]


def planted(kind, share, seed, train=3000, held_out=1000):
    """The p values of an audit of fresh digits, of which a share are copies of training images."""
    known, unseen, fresh = split_digits(seed, train, held_out)
    fresh = fresh[:held_out].copy()
    copies = round(share * len(fresh))
    images = known[np.random.default_rng(seed).permutation(len(known))[:copies]]
    if kind == "noise":
        noise = np.random.default_rng(seed).normal(size=images.shape)
        images = np.clip(images + 0.1 * noise, 0, 1)
    elif kind == "shift":
        images = np.roll(images, 1, axis=1)
    elif kind == "blur":
        fresh = gaussian_filter(fresh, (0, 0.7, 0.7, 0))
    fresh[:copies] = images
    index = TrainingImages(np.uint8(np.rint(known * 255)), seed)
    return Audit.of(index, index.side(blocks(unseen)), index.side(blocks(fresh)), seed)


def test_copies_among_few_digits():
    honest = planted("none", 0, 0, 1000, 500)
    assert honest.p_value > ALARM and honest.share[0] < 0.03
    copied = planted("exact", 0.05, 0, 1000, 500)
    assert copied.p_value < 1e-4 and copied.share[0] == pytest.approx(0.05, abs=0.03)
    assert max(copied.tails.values()) < 1e-4


REPEATS = 20


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "share", "least", "most"),
    [
        ("none", 0, 0, 0.05),
        ("blur", 0, 0, 0.05),
        ("exact", 0.01, 0.95, 1),
        ("exact", 0.05, 0.95, 1),
        ("noise", 0.05, 0.95, 1),
        ("shift", 0.02, 0.95, 1),
    ],
)
def test_power_and_false_alarms(kind, share, least, most):
    """Among 1,000 digits, with 3,000 known and 1,000 held out."""
    audits = [planted(kind, share, seed) for seed in range(REPEATS)]
    alarms = np.mean([audit.p_value <= ALARM for audit in audits])
    assert least <= alarms <= most
    if kind == "shift":  # which the distance itself does not show
        assert np.mean([audit.tails["distance"] <= ALARM for audit in audits]) < 0.2
    if kind == "blur":  # which C_T takes for copying
        assert np.mean([audit.c_t < -1.645 for audit in audits]) > 0.7


DATA = ImageDataset(
    "digits",
    {
        name: Split(DIGITS[part])
        for name, part in (
            ("train", np.s_[::5]),
            ("validation", np.s_[1::10]),
            ("test", np.s_[2::10]),
        )
    },
    {},
)


def measured(subject, **settings):
    metric, settings = Memorisation(), EvaluationConfig(**settings)
    metric.check(subject, DATA, settings)
    items = list(metric.measure(subject, DATA, settings))
    records = {i.metric: i for i in items if isinstance(i, Record)}
    return records, {i.name: i for i in items if isinstance(i, Picture)}


def test_records_of_given_samples():
    fresh = np.concatenate([DIGITS[3::10], DATA.split("train").images[:25]])
    records, pictures = measured(GivenSamples("mine", fresh))
    names = ["", "_distance", "_ratio", "_shift", "_pooled", "_c_t", "_share"]
    assert list(records) == ["memorisation_data"] + [f"memorisation{name}" for name in names]
    assert records["memorisation"].value < 0.01 < ALARM < records["memorisation_data"].value
    assert records["memorisation"].n == 500 and records["memorisation"].split == "test"
    assert records["memorisation"].warnings == (
        "n = 500, of at least 1000: fewer than ten copies among them are not seen",
        "no positive control: it takes encode with z, and decode",
    )
    assert records["memorisation_share"].value == pytest.approx(25 / 525, abs=0.03)
    assert set(pictures) == {"tails", "nearest"}
    # The copies come first: each pair of rows is one of equal digits.
    pixels = pictures["nearest"].content
    np.testing.assert_array_equal(pixels[:28, :28], pixels[30:58, :28])


def identity():
    """Identity as encoder and decoder: reconstructions are copies, samples are noise."""
    return Subject(
        "identity",
        {
            "sample": lambda seed: {"images": tf.random.uniform((len(seed), 28, 28, 1), seed=1)},
            "encode": lambda images: {"z": tf.reshape(images, (-1, 784))},
            "decode": lambda z: {"images": tf.reshape(z, (-1, 28, 28, 1))},
        },
        "not_available",
        "weights",
        1,
    )


def test_a_model_that_reproduces_what_it_knows_shows_its_control():
    model = identity()
    records, _ = measured(model, num_samples=200)
    assert records["memorisation"].value > ALARM
    control = records["memorisation_reconstructions"]
    assert control.value < 1e-6 and control.details["pooled"] < 1e-6
    assert not any("control" in warning for warning in records["memorisation"].warnings)
    model.functions["decode"] = lambda z: {"images": tf.fill((len(z), 28, 28, 1), 0.5)}
    blind, _ = measured(model, num_samples=200)
    assert blind["memorisation_reconstructions"].value > ALARM
    assert any("reconstructions" in warning for warning in blind["memorisation"].warnings)


def test_the_control_is_of_training_images_by_chance(monkeypatch):
    """Not of the first, which of a sorted set are all of one kind."""
    seen = []

    def reconstructed(subject, images):
        seen.append(images)
        yield images, images.astype(np.float32) / 255

    monkeypatch.setattr(memorisation, "reconstruct", reconstructed)
    measured(identity(), num_samples=200)
    (images,) = seen
    train = DATA.split("train").images
    rows = [int(np.flatnonzero((train == image).all(axis=(1, 2, 3)))[0]) for image in images]
    assert len(train) > 2 * len(images) and max(rows) > 0.8 * len(train)


def test_guards():
    given = GivenSamples("mine", DIGITS[:19])
    with pytest.raises(UsageError, match="too few for memorisation, 19 training images, test"):
        measured(given)
    given = GivenSamples("mine", DIGITS[:100])
    with pytest.raises(UsageError, match="split='train' has no images .* expected validation or"):
        measured(given, split="train")
    one = dataclasses.replace(DATA, splits={"test": DATA.split("test")})
    with pytest.raises(UsageError, match="split='train' is not in digits"):
        Memorisation().check(given, one, EvaluationConfig())
