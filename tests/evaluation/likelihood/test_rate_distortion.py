"""The rate-distortion curve of a linear decoder, whose closed form is known."""

import numpy as np
import pytest
import tensorflow as tf

from zoo.evaluation.likelihood.rate_distortion import log_uniform_schedule, rate_distortion
from zoo.evaluation.subject.subject import Subject


def closed_form(a, x, b):
    """R and D `[N]` of x ~ A z for images `[N, H]`."""
    s = np.linalg.inv(np.eye(a.shape[1]) + 2 * b * a.T @ a)
    m = 2 * b * x @ a @ s
    distortion = ((x - m @ a.T) ** 2).sum(1) + np.trace(a @ s @ a.T)
    rate = 0.5 * (np.trace(s) + (m**2).sum(1) - a.shape[1] - np.linalg.slogdet(s)[1])
    return rate, distortion


def linear(a):
    """A model from elsewhere that decodes z to Az, pixels of one row."""
    matrix = tf.constant(a, tf.float32)

    def decode(z):
        return {"images": tf.reshape(z @ tf.transpose(matrix), (-1, 1, len(a), 1))}

    spec = tf.TensorSpec([None, a.shape[1]], tf.float32, name="z")
    function = tf.function(decode, input_signature=[spec]).get_concrete_function()
    return Subject("linear", {"decode": function}, "not_available", "weights", 1)


def test_closed_form_of_a_scalar():
    rate, distortion = closed_form(np.ones((1, 1)), np.ones((1, 1)), 1.0)
    assert rate.item() == pytest.approx(0.43819503322294)
    assert distortion.item() == pytest.approx(0.44444444444444)
    assert (rate + distortion).item() == pytest.approx(0.88263947766739)


@pytest.mark.parametrize("b", [0.1, 1.0, 10.0])
def test_slope_of_the_closed_form(b):
    rng = np.random.default_rng(0)
    a, x, h = rng.standard_normal((5, 2)), rng.standard_normal((8, 5)), 1e-5 * b
    (r0, d0), (r1, d1) = (closed_form(a, x, b + s) for s in (-h, h))
    np.testing.assert_allclose((r1 - r0) / (d1 - d0), -b, rtol=1e-5)


def test_chains_give_the_curve_of_a_linear_decoder():
    rng = np.random.default_rng(0)
    a, x = rng.standard_normal((5, 2)), rng.standard_normal((8, 5)) @ np.diag([1, 1, 1, 0.3, 0.3])
    schedule = log_uniform_schedule(10.0, 400)
    assert schedule[:2].tolist() == [0, 1e-3] and schedule[-1] == pytest.approx(10)
    found = rate_distortion(
        linear(a), x.reshape(8, 1, 5, 1), schedule, 5, chains=32, leapfrog=3, averaged=20
    )
    assert len(found.b) == 5 and found.b[-1] == pytest.approx(10)
    assert found.rate.shape == found.distortion.shape == (5, 8)
    for i, b in enumerate(found.b):
        rate, distortion = closed_form(a, x, b)
        exact = -(rate + b * distortion)
        assert found.log_z[i].mean() == pytest.approx(exact.mean(), abs=0.12)
        assert found.distortion[i].mean() == pytest.approx(distortion.mean(), rel=0.08, abs=0.02)
        assert found.rate[i].mean() == pytest.approx(rate.mean(), abs=0.15)
    # Along the curve dR/dD lies between the slopes of neighbours.
    rates, distortions = found.rate.mean(1), found.distortion.mean(1)
    slopes = -np.diff(rates) / np.diff(distortions)
    assert (0.6 * found.b[:-1] < slopes).all() and (slopes < 1.6 * found.b[1:]).all()
