"""The RealNVP flow and the posterior that it makes, against autodiff and quadrature."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.distributions.posteriors import RealNVPHead
from zoo.distributions.priors import StandardNormal
from zoo.distributions.real_nvp import CouplingNet, coupling_nets, real_nvp
from zoo.errors import UsageError

ROWS, FEATURES, LATENT = 6, 12, 5


def build(context, perturbed=True):
    """A built head; perturbed, so that the flow is not the identity."""
    keras.utils.set_random_seed(1)
    head = RealNVPHead(LATENT, couplings=2, hidden=16, flow_context=context)
    head.build((None, FEATURES))
    if perturbed:
        rng = np.random.default_rng(2)
        for v in head.trainable_variables:
            v.assign(v + 0.2 * rng.normal(size=v.shape))
    return head


def draw():
    rng = np.random.default_rng(3)
    features, noise = rng.normal(size=(ROWS, FEATURES)), rng.normal(size=(ROWS, LATENT))
    return tf.constant(features, tf.float32), tf.constant(noise, tf.float32)


@pytest.mark.parametrize("context", [False, True])
def test_flow_starts_as_the_gaussian_exactly(context):
    head = build(context, perturbed=False)
    features, noise = draw()
    q, gaussian = head.distribution(features), head.base(features)
    z = q.reparameterize(noise)
    np.testing.assert_array_equal(z, gaussian.reparameterize(noise))
    np.testing.assert_array_equal(q.point(), gaussian.point())
    np.testing.assert_array_equal(q.log_prob(z), gaussian.log_prob(z))
    expected = gaussian.log_prob(z) - StandardNormal(LATENT).log_prob(z)
    np.testing.assert_allclose(q.kl(z), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("context", [False, True])
def test_flow_kl_is_the_log_ratio_at_the_draw(context):
    head = build(context)
    features, noise = draw()
    q = head.distribution(features)
    z = q.reparameterize(noise)
    expected = q.log_prob(z) - StandardNormal(LATENT).log_prob(z)
    np.testing.assert_allclose(q.kl(z), expected, rtol=1e-5, atol=1e-4)


def perturbed_nets(latent_size, couplings, context):
    rng = np.random.default_rng(7)
    nets = coupling_nets(latent_size, couplings, hidden=16, context=context)
    for net in nets:
        net.build()
        for v in net.trainable_variables:
            v.assign(v + 0.15 * rng.normal(size=v.shape))
    return nets


@pytest.mark.parametrize("latent_size", [2, 5])
def test_flow_follows_its_equations(latent_size):
    """In turn z_b = u_b exp(s(u_a)) + t(u_a) with a the first half, and with a the second."""
    nets = perturbed_nets(latent_size, 3, context=False)
    u = np.random.default_rng(8).normal(size=(4, latent_size)).astype(np.float32)
    half = latent_size // 2
    z, log_det = u.copy(), np.zeros(4)
    for i, net in enumerate(nets):
        given, moved = slice(None, half), slice(half, None)
        if i % 2:
            given, moved = moved, given
        shift, log_scale = (t.numpy() for t in net(tf.constant(z[:, given])))
        z[:, moved] = z[:, moved] * np.exp(log_scale) + shift
        log_det += log_scale.sum(-1)
    flow = real_nvp(nets, context=None)
    np.testing.assert_allclose(flow.forward(u), z, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(flow.forward_log_det_jacobian(u, 1), log_det, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("latent_size", "couplings", "with_context"),
    [(2, 1, False), (2, 2, True), (3, 1, True), (3, 2, False), (5, 3, False), (8, 4, True)],
)
def test_flow_inverse_and_log_determinant(latent_size, couplings, with_context):
    rng = np.random.default_rng(8)
    u = tf.constant(rng.normal(size=(4, latent_size)), tf.float32)
    context = tf.constant(rng.normal(size=(4, 16)), tf.float32) if with_context else None
    flow = real_nvp(perturbed_nets(latent_size, couplings, with_context), context)
    with tf.GradientTape() as tape:
        tape.watch(u)
        z = flow.forward(u)
    assert np.abs(z - u).max() > 0.1
    if couplings > 1:
        assert (np.abs(z - u).max(axis=0) > 1e-3).all()
    _, log_det = np.linalg.slogdet(tape.batch_jacobian(z, u).numpy().astype(np.float64))
    forward = flow.forward_log_det_jacobian(u, event_ndims=1)
    np.testing.assert_allclose(forward, log_det, rtol=1e-4, atol=1e-4)
    # A copy, which the bijector's memory does not know: this inverts.
    copy = tf.constant(z.numpy())
    np.testing.assert_allclose(flow.inverse(copy), u, rtol=1e-4, atol=1e-4)
    backward = flow.inverse_log_det_jacobian(tf.constant(z.numpy()), event_ndims=1)
    np.testing.assert_allclose(backward, -log_det, rtol=1e-4, atol=1e-4)


def test_flow_scales_are_bounded():
    net = CouplingNet(4, True, 8, context=False)
    net.build()
    net.last.bias.assign([0, 0, 1e4, -1e4])
    _, log_scale = net(tf.zeros([1, 2]))
    np.testing.assert_allclose(log_scale, [[2, -2]], rtol=1e-6)


def test_flow_density_integrates_to_one():
    """log_prob against a grid over the plane, which knows nothing of Jacobians."""
    keras.utils.set_random_seed(1)
    head = RealNVPHead(2, couplings=2, hidden=8)
    head.build((None, FEATURES))
    rng = np.random.default_rng(9)
    for v in head.nets[0].trainable_variables + head.nets[1].trainable_variables:
        v.assign(v + 0.1 * rng.normal(size=v.shape))
    q = head.distribution(tf.zeros([1, FEATURES]))
    axis = np.linspace(-12, 12, 481, dtype=np.float32)
    grid = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 1, 2)
    mass = np.exp(q.log_prob(tf.constant(grid)).numpy().astype(np.float64)).sum() * 0.05**2
    np.testing.assert_allclose(mass, 1, atol=1e-3)


@pytest.mark.parametrize("context", [False, True])
def test_kl_of_a_draw_inverts_nothing(context, monkeypatch):
    calls = []
    call = CouplingNet.call
    monkeypatch.setattr(
        CouplingNet, "call", lambda self, *args: (calls.append(self), call(self, *args))[1]
    )
    head = build(context)
    features, noise = draw()
    q = head.distribution(features)
    z = q.reparameterize(noise)
    remembered = q.kl(z)
    with_memory = len(calls)
    calls.clear()
    fresh = head.distribution(features)
    copy = tf.constant(z.numpy())
    np.testing.assert_allclose(fresh.kl(copy), remembered, rtol=1e-3, atol=1e-3)
    # Two nets, once for the forward pass and once for its log-determinant.
    assert with_memory == 4
    u = q.bijector.inverse(z)
    np.testing.assert_array_equal(u, head.base(features).reparameterize(noise))


def test_one_inversion_serves_every_image():
    """log q(z_m|x_n) = log N(u_m; mu_n, s_n) + log_det_m."""
    head = build(context=False)
    features, noise = draw()
    z = tf.constant(head.distribution(features).reparameterize(noise).numpy())
    u, log_det = head.to_base(z)
    assert u.shape == (ROWS, LATENT) and log_det.shape == (ROWS,)
    pairs = head.base(features).log_prob(u[:, None]) + log_det[:, None]
    expected = head.distribution(features).log_prob(z[:, None])
    np.testing.assert_allclose(pairs, expected, rtol=1e-4, atol=1e-4)


def test_to_base_needs_a_flow_that_ignores_the_image():
    with pytest.raises(UsageError, match="flow_context=False"):
        build(context=True).to_base(tf.zeros([1, LATENT]))
