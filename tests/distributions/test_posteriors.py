"""Posteriors: one contract for all, then known answers; the flow has a file of its own."""

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp

from zoo.distributions.posteriors import (
    DeterministicHead,
    GaussianHead,
    ImplicitHead,
    RealNVPHead,
    SphereHead,
    UnitGaussianHead,
)
from zoo.distributions.priors import StandardNormal
from zoo.errors import UsageError
from zoo.registry import POSTERIORS, follow

ROWS, FEATURES, LATENT = 6, 12, 5
CASES = {
    "gaussian": lambda: GaussianHead(LATENT),
    "real_nvp": lambda: RealNVPHead(LATENT, couplings=2, hidden=16),
    "real_nvp_context": lambda: RealNVPHead(LATENT, couplings=2, hidden=16, flow_context=True),
    "unit_gaussian": lambda: UnitGaussianHead(LATENT),
    "deterministic": lambda: DeterministicHead(LATENT),
    "implicit": lambda: ImplicitHead(LATENT, noise_size=7),
    "sphere": lambda: SphereHead(LATENT),
}
EXPLICIT = ("gaussian", "unit_gaussian", "real_nvp", "real_nvp_context")


def build(case, perturbed=True):
    """A built head; perturbed, so that a flow is not the identity."""
    keras.utils.set_random_seed(1)
    head = CASES[case]()
    head.build((None, FEATURES))
    if perturbed:
        rng = np.random.default_rng(2)
        for v in head.trainable_variables:
            v.assign(v + 0.2 * rng.normal(size=v.shape))
    return head


@pytest.fixture(params=CASES)
def head(request):
    return build(request.param)


def draw(head, rows=ROWS):
    rng = np.random.default_rng(3)
    features = rng.normal(size=(rows, FEATURES))
    noise = rng.normal(size=(rows, head.noise_size))
    return tf.constant(features, tf.float32), tf.constant(noise, tf.float32)


def evaluate(head, features, noise):
    """Everything a caller reads, with the gradient of each variable."""
    with tf.GradientTape() as tape:
        q = head.distribution(features)
        z = q.reparameterize(noise)
        values = {"z": z, "point": q.point(), **q.moments()}
        loss = tf.reduce_mean(tf.reduce_sum(tf.square(z - 1), axis=-1))
        if head.explicit:
            values |= {"kl": q.kl(z), "log_prob": q.log_prob(z)}
            loss += tf.reduce_mean(values["kl"])
    variables = [v.value for v in head.trainable_variables]
    gradients = tape.gradient(loss, variables)
    names = [v.path for v in head.trainable_variables]
    return values, dict(zip(names, gradients, strict=True))


# ---- One contract for all ----------------------------------------------------------------------


def test_shapes_dtypes_and_finiteness(head):
    values, _ = evaluate(head, *draw(head))
    for name, value in values.items():
        assert value.dtype == tf.float32, name
        assert np.isfinite(value).all(), name
        assert value.shape == ((ROWS,) if name in ("kl", "log_prob") else (ROWS, LATENT)), name


def test_every_variable_is_tracked_and_gets_a_gradient(head):
    _, gradients = evaluate(head, *draw(head))
    assert len(gradients) == len(head.trainable_variables) == len(head.weights)
    for name, gradient in gradients.items():
        assert gradient is not None, name
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0, name


def test_eager_graph_and_xla_agree(head):
    inputs = draw(head)
    eager = tf.nest.flatten(evaluate(head, *inputs))
    for jit in (False, True):
        compiled = tf.function(lambda f, n: evaluate(head, f, n), jit_compile=jit)
        for value, expected in zip(tf.nest.flatten(compiled(*inputs)), eager, strict=True):
            np.testing.assert_allclose(value, expected, rtol=2e-4, atol=2e-4)


def test_dynamic_batch_size(head):
    inputs = draw(head)
    signature = [tf.TensorSpec([None, t.shape[1]]) for t in inputs]
    traced = tf.function(lambda f, n: evaluate(head, f, n)[0], input_signature=signature)
    values, _ = evaluate(head, *inputs)
    for name, value in traced(*(t[:2] for t in inputs)).items():
        np.testing.assert_allclose(value, values[name][:2], rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_float32_under_a_bfloat16_policy(case, dtype):
    expected_head = build(case)
    features, noise = draw(expected_head)
    features = tf.cast(features, dtype)
    expected, _ = evaluate(expected_head, tf.cast(features, tf.float32), noise)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        head = build(case)
        values, _ = evaluate(head, features, noise)
    finally:
        keras.config.set_dtype_policy("float32")
    for name, value in values.items():
        assert value.dtype == tf.float32, name
        np.testing.assert_allclose(value, expected[name], rtol=1e-5, atol=1e-5, err_msg=name)


def test_point_is_the_draw_of_zero_noise(head):
    features, noise = draw(head)
    q = head.distribution(features)
    np.testing.assert_allclose(q.reparameterize(tf.zeros_like(noise)), q.point(), atol=1e-6)


def test_config_round_trip(head):
    features, noise = draw(head)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(head))
    assert type(copy) is type(head) and copy.get_config() == head.get_config()
    assert copy.built
    copy.set_weights(head.get_weights())
    expected, _ = evaluate(head, features, noise)
    for name, value in evaluate(copy, features, noise)[0].items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)


def test_call_gives_the_raw_tensor_symbolically_too(head):
    symbolic = head(keras.Input((FEATURES,)))
    features, _ = draw(head)
    assert head(features).shape[1:] == symbolic.shape[1:]


def test_exports_can_take_its_graph(head):
    """What leads to the outputs holds no operation that the portable formats lack."""

    @tf.function(input_signature=[tf.TensorSpec([None, t.shape[1]]) for t in draw(head)])
    def traced(features, noise):
        q = head.distribution(features)
        z = q.reparameterize(noise)
        kl = {"kl": q.kl(z)} if head.explicit else {}
        return {"z": z, "point": q.point(), **q.moments(), **kl}

    ahead = [t.op for t in tf.nest.flatten(traced.get_concrete_function().structured_outputs)]
    found = set()
    while ahead:
        operation = ahead.pop()
        if operation not in found:
            found.add(operation)
            ahead += [t.op for t in operation.inputs]
    assert "BroadcastArgs" not in {operation.type for operation in found}


def test_posteriors_without_a_density_say_so(head):
    features, noise = draw(head)
    q = head.distribution(features)
    z = q.reparameterize(noise)
    if head.explicit:
        assert isinstance(q, tfp.distributions.Distribution)
        assert q.bound_status == {"GaussianPosterior": "exact"}.get(type(q).__name__, "estimate")
        return
    assert q.bound_status == "not_available"
    for method in (q.kl, q.log_prob):
        with pytest.raises(UsageError, match="expected posterior=gaussian or real_nvp"):
            method(z)


def test_the_registry_builds_from_a_latent_size_alone():
    heads = {name: follow(path)(8) for name, path in POSTERIORS.items()}
    assert {n: (h.explicit, h.noise_size) for n, h in heads.items()} == {
        "gaussian": (True, 8),
        "real_nvp": (True, 8),
        "unit_gaussian": (True, 8),
        "deterministic": (False, 0),
        "implicit": (False, 8),
        "sphere": (False, 0),
    }


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: GaussianHead(0), "latent_size=0"),
        (lambda: DeterministicHead(2.5), "latent_size=2.5"),
        (lambda: RealNVPHead(1), "latent_size=1 .* at least 2"),
        (lambda: RealNVPHead(4, couplings=0), "couplings=0"),
        (lambda: ImplicitHead(4, noise_size=0), "noise_size=0"),
    ],
)
def test_sizes_out_of_range_are_refused(make, named):
    with pytest.raises(UsageError, match=named):
        make()


# ---- Gaussian ----------------------------------------------------------------------------------


def test_gaussian_head_is_the_papers_valid_convolution():
    head = GaussianHead(50)
    head.build((None, 8192))
    assert head.count_params() == 8192 * 100
    kernel = head.get_weights()[0]
    np.testing.assert_allclose([kernel.mean(), kernel.std()], [0, 0.02], atol=2e-4)


def test_gaussian_against_scipy():
    head = build("gaussian")
    features, noise = draw(head)
    q = head.distribution(features)
    raw = features.numpy().astype(np.float64) @ head.get_weights()[0].astype(np.float64)
    mean, log_stddev = raw[:, :LATENT], raw[:, LATENT:]
    stddev = np.exp(log_stddev)
    z = q.reparameterize(noise)
    np.testing.assert_allclose(q.point(), mean, atol=1e-5)
    np.testing.assert_allclose(q.moments()["stddev"], stddev, rtol=1e-5)
    np.testing.assert_allclose(z, mean + stddev * noise, atol=1e-5)
    expected = scipy.stats.norm.logpdf(z.numpy(), mean, stddev).sum(-1)
    np.testing.assert_allclose(q.log_prob(z), expected, rtol=1e-4)
    kl = 0.5 * (mean**2 + stddev**2 - 1 - 2 * log_stddev).sum(-1)
    np.testing.assert_allclose(q.kl(z), kl, rtol=1e-5)
    normal = tfp.distributions.MultivariateNormalDiag(np.zeros(LATENT, np.float32))
    np.testing.assert_allclose(tfp.distributions.kl_divergence(q, normal), kl, rtol=1e-5)


def test_gaussian_kl_is_the_mean_of_its_samples():
    head = build("gaussian")
    q = head.distribution(draw(head)[0])
    z = q.sample(20000, seed=[4, 5])
    ratio = (q.log_prob(z) - StandardNormal(LATENT).log_prob(z)).numpy()
    standard_error = ratio.std(axis=0) / np.sqrt(len(ratio))
    assert (np.abs(ratio.mean(axis=0) - q.kl(z)) < 5 * standard_error).all()


@pytest.mark.parametrize("case", [case for case in EXPLICIT if case != "unit_gaussian"])
@pytest.mark.parametrize("size", [1e3, 1e30])
def test_log_stddev_is_clipped(case, size):
    head = build(case, perturbed=False)
    kernel = np.zeros((FEATURES, 2 * LATENT), np.float32)
    kernel[0, LATENT:] = 1
    head.from_features.kernel.assign(kernel)
    features = tf.constant(np.outer([size, -size], np.ones(FEATURES)), tf.float32)
    q = head.distribution(features)
    gaussian = getattr(q, "distribution", q) if case != "gaussian" else q
    expected = np.exp(np.outer([10.0, -10.0], np.ones(LATENT)))
    np.testing.assert_allclose(gaussian.moments()["stddev"], expected, rtol=1e-5)
    assert np.isfinite(q.kl(q.reparameterize(tf.ones([2, LATENT])))).all()


# ---- Deterministic and implicit ----------------------------------------------------------------


def test_deterministic_ignores_the_noise():
    head = build("deterministic")
    features, _ = draw(head)
    q = head.distribution(features)
    np.testing.assert_array_equal(q.reparameterize(tf.ones([ROWS, 0])), q.point())
    np.testing.assert_allclose(q.point(), features @ head.get_weights()[0], atol=1e-5)


def test_sphere_keeps_the_direction_and_gives_the_norm():
    head = build("sphere")
    features, _ = draw(head)
    z = head.distribution(features).point().numpy()
    direction = features @ head.get_weights()[0]
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    np.testing.assert_allclose(z, np.sqrt(LATENT) * direction, rtol=1e-5)
    np.testing.assert_allclose(head.distribution(1e-9 * features).point(), z, rtol=1e-5)
    np.testing.assert_array_equal(head.distribution(0.0 * features).point(), 0.0 * z)


def test_implicit_noise_matters_from_the_start_and_differently_for_every_image():
    head = build("implicit", perturbed=False)
    noise = tf.random.stateless_normal([500, 1, 7], seed=[6, 6])
    z = head.distribution(draw(head)[0]).reparameterize(noise).numpy()
    assert (z.std(axis=0) > 0.1).all()
    z = build("implicit").distribution(draw(head)[0]).reparameterize(noise).numpy()
    centred = z - z.mean(axis=0)
    # A linear head would give every image the very same deviations.
    assert np.abs(centred[:, 0] - centred[:, 1]).max() > 0.1


def test_codes_with_sample_axes():
    for case in EXPLICIT:
        head = build(case)
        features, _ = draw(head)
        noise = tf.random.stateless_normal([3, ROWS, LATENT], seed=[1, 1])
        q = head.distribution(features)
        z = q.reparameterize(noise)
        for i in range(3):
            single = q.reparameterize(noise[i])
            np.testing.assert_allclose(z[i], single, atol=1e-5)
            np.testing.assert_allclose(q.log_prob(z)[i], q.log_prob(single), rtol=1e-3, atol=1e-3)


# ---- Prior -------------------------------------------------------------------------------------


def test_prior_is_standard_normal():
    z = np.random.default_rng(10).normal(size=(3, LATENT)).astype(np.float32)
    expected = scipy.stats.norm.logpdf(z).sum(-1)
    np.testing.assert_allclose(StandardNormal(LATENT).log_prob(z), expected, rtol=1e-5)
