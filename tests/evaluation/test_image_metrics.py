"""Reconstruction, diversity, neighbours and low-posterior samples of models whose answers are
known."""

import numpy as np
import pytest
import tensorflow as tf

from tests.evaluation.linear_gaussian import dataset, subject
from zoo.config import EvaluationConfig
from zoo.data.images import ImageDataset, Split
from zoo.errors import UsageError
from zoo.evaluation.latent.active_units import ActiveUnitsMetric
from zoo.evaluation.latent.aggregate_posterior import log_aggregate_posterior
from zoo.evaluation.latent.low_posterior import LowPosterior, as_bright
from zoo.evaluation.protocol import Picture
from zoo.evaluation.samples import neighbours
from zoo.evaluation.samples.ms_ssim_diversity import MsSsimDiversity
from zoo.evaluation.samples.neighbours import nearest_neighbours
from zoo.evaluation.samples.reconstruction import Reconstruction
from zoo.evaluation.subject.subject import Subject
from zoo.records import Record

DATA = dataset()


def measured(metric, of, settings, data=DATA):
    """Records by name, pictures by name."""
    metric.check(of, data, settings)
    items = list(metric.measure(of, data, settings))
    records = {i.metric: i for i in items if isinstance(i, Record)}
    return records, {i.name: i for i in items if isinstance(i, Picture)}


def fake(**functions):
    return Subject("fake", functions, "not_available", "weights", 1)


def pixels_as_code(offset=0.0):
    """Encodes images as their pixels, and decodes those `offset` brighter."""
    return fake(
        encode=lambda images: {"z": tf.reshape(images, (-1, 256))},
        decode=lambda z: {"images": tf.reshape(z, (-1, 16, 16, 1)) + offset},
    )


def test_reconstruction_of_a_known_error():
    grey = ImageDataset("grey", {"test": Split(np.full((12, 16, 16, 1), 100, np.uint8))}, {})
    settings = EvaluationConfig(num_samples=10)
    records, pictures = measured(Reconstruction(), pixels_as_code(0.1), settings, grey)
    assert records["reconstruction_mse"].value == pytest.approx(0.01, rel=1e-5)
    assert records["reconstruction_psnr"].value == pytest.approx(20, rel=1e-5)
    a, b = 100 / 255, 100 / 255 + 0.1  # of constants SSIM is its luminance alone
    luminance = (2 * a * b + 1e-4) / (a * a + b * b + 1e-4)
    assert records["reconstruction_ssim"].value == pytest.approx(luminance, rel=1e-4)
    assert {r.n for r in records.values()} == {10}
    assert pictures["images"].content.shape == (4 * 18 - 2, 8 * 18 - 2, 1)


def test_perfect_reconstruction_has_no_psnr():
    records, _ = measured(Reconstruction(), pixels_as_code(), EvaluationConfig())
    assert records["reconstruction_mse"].value == 0 and records["reconstruction_ssim"].value == 1
    assert "reconstruction_psnr" not in records


def test_active_units_of_the_mean_or_the_point_code():
    for of, code in ((subject(), "mean"), (subject(closed_form=False), "z")):
        records, pictures = measured(ActiveUnitsMetric(), of, EvaluationConfig("train"))
        record = records["active_units"]
        assert (record.value, record.n, record.details["code"]) == (2, 90, code)
        assert record.details["latent_size"] == 2 and "variances" in pictures
    constant = fake(encode=lambda images: {"mean": tf.zeros((len(images), 7))})
    assert measured(ActiveUnitsMetric(), constant, EvaluationConfig())[0]["active_units"].value == 0


def test_diversity_of_equal_samples_is_zero_beside_that_of_the_data():
    def sample(seed):
        return {
            "images": tf.tile(
                tf.random.stateless_uniform((1, 16, 16, 1), (1, 2)), (len(seed), 1, 1, 1)
            )
        }

    records, _ = measured(MsSsimDiversity(), fake(sample=sample), EvaluationConfig())
    assert list(records) == ["ms_ssim_diversity_data", "ms_ssim_diversity"]
    assert records["ms_ssim_diversity"].value == pytest.approx(0, abs=1e-5)
    assert records["ms_ssim_diversity_data"].value > 0.1
    assert {r.n for r in records.values()} == {64}  # of 80 test images, whole batches


def test_diversity_of_the_data_as_samples_is_that_of_the_data():
    data = dataset((9, 9, 640))
    images = iter(np.split(data.split("test").images / np.float32(255), (320, 570)))
    next(images)  # then as many as the first call asks for, and the rest
    model = fake(sample=lambda seed: {"images": tf.constant(next(images))})
    records, _ = measured(MsSsimDiversity(), model, EvaluationConfig(), data)
    values = [r.value for r in records.values()]
    assert {r.n for r in records.values()} == {320} and records["ms_ssim_diversity"].split is None
    assert values[0] == pytest.approx(
        values[1], abs=4 * records["ms_ssim_diversity"].standard_error
    )


def test_neighbours_are_those_of_brute_force(rng, monkeypatch):
    monkeypatch.setattr(neighbours, "_BLOCK_BYTES", 4 * 27 * 7)  # blocks of 7 of 30
    data = rng.integers(0, 256, (30, 3, 3, 3), dtype=np.uint8)
    images = rng.random((11, 3, 3, 3), np.float32)
    images[4] = data[29] / np.float32(255)
    index, distance = nearest_neighbours(images, data)
    every = np.sqrt(np.square(images[:, None] - data[None] / 255).mean(axis=(2, 3, 4)))
    np.testing.assert_array_equal(index, every.argmin(axis=1))
    np.testing.assert_allclose(distance, every.min(axis=1), atol=1e-5)
    assert index[4] == 29
    with pytest.raises(UsageError, match=r"expected the same \[H, W, C\]"):
        nearest_neighbours(images[:, :2], data)


def test_low_posterior_decodes_the_least_likely():
    model = subject()
    records, pictures = measured(LowPosterior(), model, EvaluationConfig(num_samples=3000, seed=5))
    assert set(pictures) == {"samples", "likelihoods"}
    z = np.random.default_rng(5).standard_normal((3000, 2), np.float32)
    images = np.concatenate([DATA.split(s).images for s in ("train", "validation")])
    encodings = model.all("encode", images=images)
    log_q = log_aggregate_posterior(z, encodings["mean"], encodings["stddev"])
    lowest = np.sort(log_q)[:300]  # of 3,000 the lowest tenth
    assert records["low_posterior_log_q"].value == pytest.approx(lowest.mean(), rel=1e-6)
    assert records["low_posterior_log_q_prior"].value == pytest.approx(log_q.mean(), rel=1e-6)
    assert records["low_posterior_log_q_prior"].n == 3000
    # Where q(z) is low the data are far, and the code far from the prior's centre.
    assert records["low_posterior_distance"].value > records["low_posterior_distance_prior"].value
    decoded = model.all("decode", z=z[np.argsort(log_q)[:300]])["images"]
    alike = records["low_posterior_distance_as_bright"]
    rms = np.sqrt(np.square(decoded).mean(axis=(1, 2, 3)))
    assert alike.details["brightness_of_lowest"] == pytest.approx(rms.mean(), rel=1e-6)
    assert alike.details["brightness"] == pytest.approx(rms.mean(), rel=0.05) and alike.n == 300
    again = model.all("elbo", images=decoded, seed=5)
    for name in ("elbo", "kl"):
        assert records[f"low_posterior_{name}"].value == pytest.approx(again[name].mean(), rel=1e-5)
        assert list(records).index(f"low_posterior_{name}_data") < list(records).index(
            f"low_posterior_{name}"
        )
    assert records["low_posterior_kl"].value > records["low_posterior_kl_data"].value


def test_as_bright_ones_are_the_nearest_and_none_twice(rng):
    index = as_bright(np.array([1.0, 3.0, 2.9]), np.array([2.0, 0.9, 3.0, 9.0]))
    assert index.tolist() == [1, 2, 0]
    wanted, brightness = rng.random(30), rng.random(1000)
    index = as_bright(wanted, brightness)
    assert len(set(index)) == 30
    np.testing.assert_allclose(brightness[index], wanted, atol=0.02)


def test_low_posterior_without_a_bound_or_by_another_score():
    model = subject("encode", "decode")
    for score in ("log_q", "log_q_minus_log_p"):
        settings = EvaluationConfig(num_samples=20, score=score)
        records, pictures = measured(LowPosterior(), model, settings)
        assert set(pictures) == {"samples"} and not any("elbo" in name for name in records)
        assert records["low_posterior_log_q"].details["score"] == score


def test_low_posterior_of_too_few_samples_is_refused():
    settings = EvaluationConfig(num_samples=19)
    with pytest.raises(UsageError, match="num_samples=19 is too few for low_posterior"):
        LowPosterior().check(subject("encode", "decode"), DATA, settings)


def test_low_posterior_refuses_images_out_of_range():
    model = subject("encode", "decode")
    model.functions["decode"] = lambda z: {"images": tf.fill((len(z), 16, 16, 1), 2.0)}
    with pytest.raises(UsageError, match="linear: its decode gives images from 2 to 2"):
        measured(LowPosterior(), model, EvaluationConfig(num_samples=20))


ONE_SPLIT = ImageDataset("mine", {"train": DATA.split("train")}, {})
SMALL = ImageDataset("small", {"test": Split(np.zeros((99, 8, 8, 1), np.uint8))}, {})


@pytest.mark.parametrize(
    ("metric", "names", "settings", "data", "message"),
    [
        (Reconstruction, ("encode",), {}, DATA, "no signature 'decode'"),
        (Reconstruction, (), {}, SMALL, "sides of at least 11 pixels"),
        (Reconstruction, (), {}, ONE_SPLIT, "split='test' is not in mine"),
        (ActiveUnitsMetric, ("decode",), {}, DATA, "no signature 'encode'"),
        (ActiveUnitsMetric, (), {"num_samples": 1}, DATA, "expected at least 2"),
        (MsSsimDiversity, ("decode",), {}, DATA, "no signature 'sample'"),
        (MsSsimDiversity, (), {"num_samples": 63}, DATA, "num_samples=63, 80 test images"),
        (MsSsimDiversity, (), {}, SMALL, "sides of at least 16 pixels"),
        (LowPosterior, ("encode",), {}, DATA, "no signature 'decode'"),
        (LowPosterior, (), {}, ONE_SPLIT, "split='validation' is not in mine"),
    ],
)
def test_refused_before_any_work(metric, names, settings, data, message):
    with pytest.raises(UsageError, match=message):
        metric().check(subject(*names), data, EvaluationConfig(**settings))
