"""Likelihoods: one contract for all, then known answers against SciPy in float64.

The quantised normal has a file of its own.
"""

import math

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from zoo.distributions.grey_levels import grey_levels
from zoo.distributions.likelihoods import (
    Bernoulli,
    Categorical,
    Generated,
    QuantizedNormal,
    bits_per_dim,
)
from zoo.errors import UsageError
from zoo.registry import LIKELIHOODS, follow

SHAPE = (3, 4, 5, 2)
EVENT_SIZE = 4 * 5 * 2
CASES = {name: follow(path)() for name, path in LIKELIHOODS.items()}


class FixedNoise:
    """Uniform noise of one seed."""

    def uniform(self, purpose, shape):
        u = np.random.default_rng(len(purpose)).random((SHAPE[0], *shape))
        return tf.constant(u, tf.float32)


@pytest.fixture(params=CASES)
def likelihood(request):
    return CASES[request.param]


def draw(likelihood, seed=0, spread=2.0):
    """Decoder outputs and images of whole grey levels, black and white among them."""
    rng = np.random.default_rng(seed)
    maps = likelihood.output_channels(SHAPE[-1])
    outputs = tf.constant(rng.normal(size=(*SHAPE[:-1], maps)) * spread, tf.float32)
    levels = rng.integers(0, 256, SHAPE)
    levels[:, 0], levels[:, 1] = 0, 255
    return outputs, tf.constant(levels / 255, tf.float32)


def evaluate(likelihood, outputs, images):
    """Everything a caller reads, with the gradients of both log-probabilities."""
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(outputs)
        values = {
            "log_prob": likelihood.log_prob(outputs, images),
            "training": likelihood.training_log_prob(outputs, images, FixedNoise()),
        }
    gradients = {f"d_{k}": tape.gradient(v, outputs) for k, v in values.items()}
    distribution = likelihood.distribution(outputs)
    return {
        **values,
        **gradients,
        **likelihood.parameters(outputs),
        "distribution_log_prob": distribution.log_prob(images),
        "distribution_mean": distribution.mean(),
    }


# ---- One contract for all ----------------------------------------------------------------------


def test_shapes_dtypes_and_agreement_of_the_views(likelihood):
    values = evaluate(likelihood, *draw(likelihood))
    for name, value in values.items():
        assert value.dtype == tf.float32, name
        assert np.isfinite(value).all(), name
    assert values["log_prob"].shape == values["training"].shape == SHAPE[:1]
    assert values["images"].shape == SHAPE
    assert values["images"].numpy().min() >= 0 and values["images"].numpy().max() <= 1
    np.testing.assert_array_equal(values["distribution_mean"], values["images"])
    np.testing.assert_allclose(values["distribution_log_prob"], values["log_prob"], rtol=1e-5)


def test_eager_graph_and_xla_agree(likelihood):
    outputs, images = draw(likelihood)
    eager = evaluate(likelihood, outputs, images)
    for jit in (False, True):
        compiled = tf.function(lambda o, x: evaluate(likelihood, o, x), jit_compile=jit)
        for name, value in compiled(outputs, images).items():
            scale = np.abs(eager[name]).max()
            np.testing.assert_allclose(
                value, eager[name], rtol=1e-4, atol=1e-5 * scale, err_msg=name
            )


def test_dynamic_batch_size(likelihood):
    outputs, images = draw(likelihood)
    signature = [tf.TensorSpec([None, *t.shape[1:]]) for t in (outputs, images)]
    traced = tf.function(likelihood.log_prob, input_signature=signature)
    expected = likelihood.log_prob(outputs, images)
    np.testing.assert_allclose(traced(outputs, images), expected, rtol=1e-5)
    np.testing.assert_allclose(traced(outputs[:1], images[:1]), expected[:1], rtol=1e-5)


def test_bfloat16_outputs_are_taken_to_float32_at_the_door(likelihood):
    outputs, images = draw(likelihood)
    half = tf.cast(outputs, tf.bfloat16)
    values = evaluate(likelihood, half, images)
    for name, value in values.items():
        assert np.isfinite(value.numpy().astype(np.float32)).all(), name
        assert value.dtype == (tf.bfloat16 if name.startswith("d_") else tf.float32), name
    expected = likelihood.log_prob(tf.cast(half, tf.float32), images)
    np.testing.assert_array_equal(values["log_prob"], expected)


def test_every_output_map_moves_the_log_probability(likelihood):
    outputs, images = draw(likelihood, spread=0.1)
    values = evaluate(likelihood, outputs, images)
    for name in ("d_log_prob", "d_training"):
        assert (np.abs(values[name]).max(axis=(0, 1, 2)) > 0).all(), name


@pytest.mark.parametrize("size", [0.0, 10.0, 100.0, 1e4])
def test_finite_at_any_output(likelihood, size):
    outputs, images = draw(likelihood)
    for sign in (-1.0, 1.0, np.sign(outputs)):
        values = evaluate(likelihood, tf.constant(sign * size * np.ones_like(outputs)), images)
        for name, value in values.items():
            assert np.isfinite(value).all(), name


def test_samples_are_grey_levels_with_the_reported_mean(likelihood):
    assert_samples_agree(likelihood, np.zeros((1, 2, 2, likelihood.output_channels(1))))


def test_samples_of_a_narrow_quantized_normal():
    """Away from the open tails, where the clipped mean is exact."""
    outputs = np.zeros((1, 2, 2, 2))
    outputs[..., 0], outputs[..., 1] = 0.1, -2.5
    assert_samples_agree(CASES["quantized_normal"], outputs)


def assert_samples_agree(likelihood, outputs):
    outputs = np.asarray(outputs, np.float32)
    distribution = likelihood.distribution(tf.constant(outputs))
    samples = distribution.sample(4000, seed=[1, 2])
    assert samples.shape == (4000, 1, 2, 2, 1) and samples.dtype == tf.float32
    levels = samples.numpy() * 255
    np.testing.assert_allclose(levels, np.round(levels), atol=1e-3)
    assert levels.min() >= 0 and levels.max() <= 255
    standard_error = samples.numpy().std(axis=0) / math.sqrt(4000)
    assert (np.abs(samples.numpy().mean(axis=0) - distribution.mean()) < 5 * standard_error).all()
    np.testing.assert_array_equal(distribution.sample(4000, seed=[1, 2]), samples)
    assert distribution.batch_shape == (1,) and distribution.event_shape == (2, 2, 1)


def test_sufficient_parameters_tell_the_outputs_again(likelihood):
    outputs, images = draw(likelihood)
    if not likelihood.sufficient:
        pytest.skip("what decode gives does not tell p(x|z)")

    def from_parameters(outputs):
        parameters = likelihood.parameters(outputs)
        return likelihood.outputs({name: parameters[name] for name in likelihood.sufficient})

    np.testing.assert_allclose(from_parameters(outputs), outputs, rtol=1e-3, atol=1e-4)
    values = []
    for function in (lambda x: x, from_parameters):
        with tf.GradientTape() as tape:
            tape.watch(outputs)
            value = likelihood.log_prob(function(outputs), images)
        values.append((value.numpy(), tape.gradient(value, outputs).numpy()))
    (value, gradient), (found, found_gradient) = values
    np.testing.assert_allclose(found, value, rtol=1e-4)
    scale = np.abs(gradient).max()
    np.testing.assert_allclose(found_gradient / scale, gradient / scale, atol=1e-3)
    for extreme in (-1e4, 1e4):
        found = likelihood.log_prob(from_parameters(tf.fill(outputs.shape, extreme)), images)
        assert np.isfinite(found).all()


def test_zero_outputs_mean_mid_grey(likelihood):
    outputs = tf.zeros([1, 2, 2, likelihood.output_channels(1)])
    np.testing.assert_allclose(likelihood.parameters(outputs)["images"], 0.5, rtol=1e-6)


def test_the_registry_names_what_it_holds():
    classes = {name: follow(path) for name, path in LIKELIHOODS.items()}
    assert {name: cls.name for name, cls in classes.items()} == {n: n for n in LIKELIHOODS}
    assert classes["quantized_normal"].discrete and classes["categorical"].discrete
    assert not classes["bernoulli"].discrete


def test_the_masses_of_grey_levels_sum_to_one(likelihood):
    if not likelihood.discrete:
        pytest.skip("it is no law of grey levels")
    outputs = np.random.default_rng(1).normal(size=(5, 1, 1, likelihood.output_channels(1)))
    each = np.repeat(outputs, 256, axis=0).astype(np.float32)
    levels = np.tile(np.arange(256, dtype=np.float32), 5)[:, None, None, None]
    mass = np.exp(np.float64(likelihood.log_prob(tf.constant(each), tf.constant(levels / 255))))
    np.testing.assert_allclose(mass.reshape(5, 256).sum(axis=1), 1, rtol=1e-4)


def test_training_maximises_the_log_probability_or_a_lower_bound(likelihood):
    outputs, images = draw(likelihood)

    class Rows:
        """Uniform noise, other numbers at each call."""

        rng = np.random.default_rng(2)

        def uniform(self, purpose, shape):
            return tf.constant(self.rng.random((SHAPE[0], *shape)), tf.float32)

    noise = Rows()
    draws = np.array([likelihood.training_log_prob(outputs, images, noise) for _ in range(100)])
    bound, error = draws.mean(axis=0), draws.std(axis=0) / 10
    log_prob = likelihood.log_prob(outputs, images).numpy()
    assert (bound <= log_prob + 4 * error + 1e-5 * np.abs(log_prob)).all()


def test_grey_levels_survive_the_rounding_of_float32():
    k = np.arange(256, dtype=np.float32)
    for images in (k / 255, k * np.float32(1 / 255), np.nextafter(k / 255, -1, dtype=np.float32)):
        np.testing.assert_array_equal(grey_levels(images), k)


def test_only_dequantisation_draws_noise():
    quantized = CASES["quantized_normal"]
    with pytest.raises(AttributeError, match="uniform"):
        quantized.training_log_prob(*draw(quantized), noise=None)
    for likelihood in (Bernoulli(), Categorical(), QuantizedNormal(dequantization="none")):
        outputs, images = draw(likelihood)
        value = likelihood.training_log_prob(outputs, images, noise=None)
        np.testing.assert_array_equal(value, likelihood.log_prob(outputs, images))


# ---- Bernoulli ---------------------------------------------------------------------------------


def test_bernoulli_against_scipy():
    outputs, images = draw(CASES["bernoulli"])
    mean = scipy.special.expit(outputs.numpy().astype(np.float64))
    x = images.numpy().astype(np.float64)
    expected = (scipy.special.xlogy(x, mean) + scipy.special.xlog1py(1 - x, -mean)).sum((1, 2, 3))
    np.testing.assert_allclose(Bernoulli().log_prob(outputs, images), expected, rtol=1e-5)


def test_bernoulli_gradient_is_the_mean_error():
    """Rosca et al. 2018, appendix G: the logit gradient of -log p is mu - x."""
    outputs, images = draw(CASES["bernoulli"])
    gradient = evaluate(CASES["bernoulli"], outputs, images)["d_log_prob"]
    np.testing.assert_allclose(-gradient, tf.sigmoid(outputs) - images, atol=1e-6)


# ---- Categorical -------------------------------------------------------------------------------


def test_categorical_against_scipy():
    outputs, images = draw(CASES["categorical"])
    logits = outputs.numpy().astype(np.float64).reshape(*SHAPE, 256)
    table = scipy.special.log_softmax(logits, axis=-1)
    k = np.round(images.numpy() * 255).astype(int)[..., None]
    expected = np.take_along_axis(table, k, axis=-1).sum((1, 2, 3, 4))
    np.testing.assert_allclose(Categorical().log_prob(outputs, images), expected, rtol=1e-5)
    mean = np.exp(table) @ np.arange(256) / 255
    np.testing.assert_allclose(Categorical().parameters(outputs)["images"], mean, rtol=1e-5)


def test_uniform_logits_cost_eight_bits_per_dimension():
    outputs, images = draw(CASES["categorical"])
    log_prob = Categorical().log_prob(tf.zeros_like(outputs), images)
    np.testing.assert_allclose(bits_per_dim(log_prob, EVENT_SIZE), 8, rtol=1e-5)


# ---- Implicit decoders -------------------------------------------------------------------------


def test_generated_images_come_by_a_tanh_and_have_no_density():
    generated = Generated()
    outputs = tf.constant([-1e4, -0.5, 0.0, 1e4])[:, None, None, None]
    images = generated.parameters(tf.cast(outputs, tf.bfloat16))["images"]
    assert images.dtype == tf.float32 and generated.output_channels(3) == 3
    np.testing.assert_allclose(images.numpy().ravel(), [0, 0.5 - 0.5 * np.tanh(0.5), 0.5, 1])
    for use in (generated.distribution, lambda o: generated.log_prob(o, images)):
        with pytest.raises(UsageError, match=r"no p\(x\|z\)"):
            use(outputs)
