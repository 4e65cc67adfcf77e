"""The experiment's own arithmetic; the curves are tested beside their estimator."""

import numpy as np
import pytest

from tests.evaluation.linear_gaussian import PIXELS, dataset, log_evidence, subject
from zoo.evaluation.likelihood.rate_distortion import log_uniform_schedule, rate_distortion
from zoo.paper.rate_distortion import own_point

IMAGES = dataset().split("test").images


def test_the_exact_encoder_lies_on_the_curve_of_its_decoder_and_no_other_below_it():
    """q(z|x) of p(x|z) = N(decode(z), 1/4 I) is that of b = 1 / (2 * 1/4)."""
    b = 2.0
    curve = rate_distortion(
        subject(), IMAGES, log_uniform_schedule(b, 120), 1, chains=8, leapfrog=2, averaged=1
    )
    least = -curve.log_z[-1].mean()
    constant = 0.5 * PIXELS * np.log(np.pi / b)
    assert least == pytest.approx(-log_evidence(IMAGES).mean() - constant, abs=0.08)
    lagrangians = {}
    for width in (1.0, 0.5, 2.0):
        rate, distortion = own_point(subject(width=width), IMAGES, 0)
        assert rate.shape == distortion.shape == (80,)
        lagrangians[width] = (rate + b * distortion).mean()
    assert lagrangians[1.0] == pytest.approx(least, abs=0.4)
    assert min(lagrangians[0.5], lagrangians[2.0]) > least + 0.2
    # KL of the width that is off, in nats: two dimensions.
    excess = 0.5**2 - 1 - 2 * np.log(0.5)
    assert lagrangians[0.5] - lagrangians[1.0] == pytest.approx(excess, abs=0.5)


def test_no_point_without_a_gaussian_encoder():
    assert own_point(subject("decode"), IMAGES, 0) is None
    assert own_point(subject(closed_form=False), IMAGES, 0) is None
