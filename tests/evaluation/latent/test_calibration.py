"""A critic's temperature, and when its bounds are bounds."""

import numpy as np
import pytest

from zoo.evaluation.latent.calibration import (
    overfitted,
    overshooting,
    temperature,
)
from zoo.evaluation.statistics import effective_samples


def logits(scale, count=20_000):
    """Of N(1, 1) against N(-1, 1), whose log ratio is 2 z, as a critic tells it that is surer."""
    rng = np.random.default_rng(0)
    return [scale * 2 * (rng.standard_normal(count) + mean) for mean in (1, -1)]


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_temperature_is_how_much_too_sure(scale):
    found = temperature(*logits(scale))
    assert found.value == pytest.approx(scale, rel=0.06)
    assert 0.9 * scale < found.least < found.value
    assert bool(overfitted(found)) == (scale == 3.0)


def test_the_error_of_a_temperature_covers_repetitions():
    """Twice the error below the value is above the truth in few of 40 draws."""
    rng = np.random.default_rng(0)
    above = 0
    for _ in range(40):
        q, p = (0.4 * (rng.standard_normal(1000) + 0.2 * sign) for sign in (1, -1))
        above += temperature(q, p).least > 1.0  # the log ratio of these laws is c itself
    assert above <= 5


def test_logits_without_a_temperature():
    q, p = logits(1)
    assert temperature(p, q).value is None and temperature(0 * q, 0 * p).value is None
    assert overfitted(temperature(p, q)) == ()
    apart = temperature(np.full(50, 7e5), np.full(50, -7e5))
    assert apart.value is None and overfitted(apart) == ()


def test_small_logits_leave_the_temperature_open():
    rng = np.random.default_rng(0)
    q, p = (0.02 * rng.standard_normal(500) for _ in range(2))
    assert overfitted(temperature(q, p)) == ()


def test_a_critic_of_few_codes_is_overfitted():
    """Codes alike but for a small shift, told apart by how few of them happened to fall."""
    rng = np.random.default_rng(0)
    codes = [rng.standard_normal((60, 40)) + shift for shift in (0.1, -0.1)]
    difference = codes[0].mean(0) - codes[1].mean(0)
    fresh = [(rng.standard_normal((5000, 40)) + s) @ difference for s in (0.1, -0.1)]
    (warning,) = overfitted(temperature(*fresh))
    assert "temperature" in warning and "overfits" in warning


def test_effective_samples():
    assert effective_samples(np.zeros(70)) == pytest.approx(70)
    assert effective_samples(np.array([900.0, 0, 0])) == pytest.approx(1)
    assert effective_samples(np.log([1.0, 1.0, 2.0])) == pytest.approx(16 / 6)


@pytest.mark.parametrize(
    ("value", "effective", "certified"), [(2, 500, True), (2, 99, False), (7, 500, False)]
)
def test_bounds_that_few_samples_carry(value, effective, certified):
    assert (overshooting(value, effective, 10_000) == ()) == certified
