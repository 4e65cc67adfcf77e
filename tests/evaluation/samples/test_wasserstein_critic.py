"""The independent critic on sets whose distance is known."""

import numpy as np
import pytest
import tensorflow as tf

from zoo.config import EvaluationConfig
from zoo.data.images import ImageDataset, Split
from zoo.errors import UsageError
from zoo.evaluation.protocol import Picture
from zoo.evaluation.samples.wasserstein_critic import (
    CRITICS,
    Critic,
    WassersteinCritic,
    _train,
    batches_of,
    standard_error,
)
from zoo.evaluation.subject.subject import Subject
from zoo.losses import gradient_penalty
from zoo.noise import row_noise, row_seeds
from zoo.records import Record

SHAPE = (28, 28, 1)


def of_value(value, count=64):
    return np.full((count, *SHAPE), value, np.float32)


def endless(images):
    while True:
        yield images


def test_one_update_is_that_of_wgan_gp():
    critic = Critic(SHAPE, seed=1, width=0.06)
    kernels = critic.network.trainable_variables
    for variable in kernels:
        variable.assign(10 * variable)
    rng = np.random.default_rng(0)
    real, fake = (tf.constant(rng.random((64, *SHAPE), np.float32)) for _ in range(2))
    position = row_noise(row_seeds(1, 0, 64)).uniform("interpolation", (1, 1, 1))
    with tf.GradientTape() as tape:
        gap = tf.reduce_mean(critic.network(real)) - tf.reduce_mean(critic.network(fake))
        penalty = tf.reduce_mean(gradient_penalty(critic.network, real, fake, position))
        loss = 10 * penalty - gap
    expected = [-np.sign(g) for g in tape.gradient(loss, [v.value for v in kernels])]
    before = [v.numpy() for v in kernels]
    (seen,) = critic.train(endless(real.numpy()), endless(fake.numpy()), 1, "test")
    assert seen == pytest.approx(float(gap), abs=1e-5)
    for old, new, sign in zip(before, kernels, expected, strict=True):  # Adam's first step
        moved = (new.numpy() - old) / 1e-4
        clear = np.abs(moved) > 0.5
        assert clear.mean() > 0.9 and (np.sign(moved) == sign)[clear].all()


@pytest.mark.slow
def test_gap_of_two_points_is_their_distance():
    """W of point masses at x and y is |x - y|, here of constant images 0.2 apart in 784 pixels."""
    critic = Critic(SHAPE, seed=0, width=0.25)
    # From N(0, 0.02) at this width the critic takes about 800 steps to say anything.
    gaps = critic.train(endless(of_value(0.6)), endless(of_value(0.4)), 1500, "test")
    # Against the penalty the slope is 1 + d / 20 at the maximum, for d = 28 * 0.2.
    assert gaps[-1] == pytest.approx(5.6 * 1.28, rel=0.2) and abs(gaps[0]) < 0.1


def dataset(value=0, splits=("train", "validation", "test")):
    rng = np.random.default_rng(3)
    images = {s: rng.integers(value, value + 50, (80, *SHAPE), dtype=np.uint8) for s in splits}
    return ImageDataset("noise", {k: Split(v) for k, v in images.items()}, {})


def subject(images, seed=4):
    rng = np.random.default_rng(seed)
    sample = lambda seed: {"images": tf.constant(images(rng, len(seed)))}  # noqa: E731
    return Subject("fake", {"sample": sample}, "not_available", "weights", 1)


def measured(images, steps=4, **settings):
    settings = EvaluationConfig(train_steps=steps, **settings)
    of_model = subject(images, settings.seed)
    return list(WassersteinCritic().measure(of_model, dataset(), settings))


def test_records_and_their_order():
    items = measured(lambda rng, n: rng.random((n, *SHAPE), np.float32), num_samples=70)
    records = [r for r in items if isinstance(r, Record)]
    names = ("_data", "", "_test", "_train", "_validation", "_overfitting")
    assert [r.metric for r in records] == [f"wasserstein_critic{name}" for name in names]
    values = {r.metric.rpartition("_")[2]: r.value for r in records}
    assert values["overfitting"] == pytest.approx(values["test"] - values["train"], abs=1e-9)
    assert [r.n for r in records] == [80, 80, 70, 70, 70, 70]
    assert all(r.standard_error > 0 and r.details["steps"] == 4 for r in records)
    for record in records:
        assert "trained for 4 updates" in record.warnings[0] and "n = 80" in record.warnings[1]
    (picture,) = (i for i in items if isinstance(i, Picture))
    assert picture.name == "training" and "floor" in picture.caption


def test_a_second_model_is_measured_against_the_same_floor(monkeypatch):
    monkeypatch.setattr("zoo.evaluation.samples.wasserstein_critic.CRITICS", 2)
    trained, train = [], Critic.train

    def counted(self, real, fake, steps, name):
        trained.append(name)
        return train(self, real, fake, steps, name)

    monkeypatch.setattr(Critic, "train", counted)
    one, other = (measured(lambda rng, n, v=v: of_value(v, n), seed=7) for v in (0.1, 0.9))
    assert one[0] == other[0] and one[1] != other[1]
    assert [name.split("and ")[1] for name in trained] == [
        side for side in ("test images", "samples", "samples") for _ in range(2)
    ]


def test_the_standard_error_holds_the_spread_of_critics_and_of_images():
    rng = np.random.default_rng(0)
    values = np.array([1.0, 1.2, 0.7])
    first, second = rng.normal(size=(3, 50)), 2 * rng.normal(size=(3, 70))
    of_images = first.mean(0).var(ddof=1) / 50 + second.mean(0).var(ddof=1) / 70
    expected = np.sqrt(values.var(ddof=1) / 3 + of_images)
    assert standard_error(values, first, second) == pytest.approx(expected)
    assert standard_error(values, first[:, :1], second) is None


@pytest.mark.slow
def test_the_standard_error_is_the_spread_over_seeds():
    """Over other critics, other batches and other samples."""
    data, found = dataset(), []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        samples = 0.3 * rng.random((80, *SHAPE), np.float32)
        trained = _train(data, seed, 12, "data", lambda own, s=samples: batches_of(s, own))
        scores = (trained.score(side) for side in (data.split("validation").images, samples))
        found.append(trained.minibatches(*scores))
    values, errors = zip(*found, strict=True)
    assert 0.4 < np.std(values, ddof=1) / np.mean(errors) < 1.6


def test_critics_differ_from_each_other_and_from_those_of_the_next_seed():
    def seeds(seed):
        trained = _train(dataset(), seed, 1, "data", lambda own: endless(of_value(0.5)))
        return [critic.seed for critic in trained.critics]

    assert len({*seeds(0), *seeds(1), *seeds(2**31 - 1)}) == 3 * CRITICS


def test_batches_are_repeatable_draws():
    images = dataset().split("train").images
    one, same, other = (next(batches_of(images, seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert one.shape == (64, *SHAPE) and one.max() < 0.2 and not np.array_equal(one, other)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (dataset(splits=("train", "test")), "split='validation' is not in noise"),
        (
            ImageDataset(
                "odd",
                {
                    s: Split(np.zeros((9, 12, 12, 1), np.uint8))
                    for s in ("train", "validation", "test")
                },
                {},
            ),
            r"no networks for images of the shape \[12, 12, 1\]",
        ),
    ],
)
def test_refused_before_any_work(data, message):
    with pytest.raises(UsageError, match=message):
        WassersteinCritic().check(subject(None), data, EvaluationConfig())


def test_a_gap_that_is_not_finite_is_an_error():
    critic = Critic(SHAPE, seed=0, width=0.06)
    with pytest.raises(UsageError, match="not finite at step 0"):
        critic.train(endless(of_value(np.nan)), endless(of_value(0.5)), 2, "test")
