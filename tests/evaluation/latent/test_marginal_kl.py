import math
import tracemalloc

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import norm

from zoo.errors import UsageError
from zoo.evaluation.gaussians import gaussian_kl
from zoo.evaluation.latent.aggregate_posterior import FlowSamples, log_aggregate_posterior
from zoo.evaluation.latent.low_posterior import least_likely as low_posterior
from zoo.evaluation.latent.marginal_kl import marginal_kl, marginal_kl_stream


def reference(z, mean, stddev):
    """log q(z) by broadcasting, without expanding the square."""
    return np.array(
        [logsumexp(norm.logpdf(row, mean, stddev).sum(axis=1)) for row in z]
    ) - math.log(len(mean))


def toy(n, m, d, stddev, seed=0):
    """An encoder whose population aggregate posterior is the prior exactly."""
    generator = np.random.default_rng(seed)
    mean = generator.normal(size=(n, d)) * math.sqrt(1 - stddev**2)
    origin = generator.integers(n, size=m)
    z = mean[origin] + stddev * generator.normal(size=(m, d))
    return z, mean, np.full((n, d), stddev), origin


@pytest.mark.parametrize(
    ("d", "stddev", "spread", "offset"),
    [(1, 0.5, 1, 0), (3, 0.2, 1, 0), (100, 1e-3, 1, 0), (100, 1e-3, 30, 0), (20, 0.01, 1, 1e5)],
)
def test_log_density_agrees_with_broadcast(d, stddev, spread, offset):
    generator = np.random.default_rng(1)
    mean = offset + spread * generator.normal(size=(700, d))
    stddevs = stddev * np.exp(0.3 * generator.normal(size=mean.shape))
    near = mean[:40] + stddevs[:40] * generator.normal(size=(40, d))
    far = offset + spread * generator.normal(size=(3, d))
    z = np.concatenate([near, far])
    expected = reference(z, mean, stddevs)
    result = log_aggregate_posterior(z, mean, stddevs)
    np.testing.assert_allclose(result[:40], expected[:40], atol=1e-4, rtol=0)
    # Far from all components the value itself is 1e9 nats: there it is the relative error.
    np.testing.assert_allclose(result[40:], expected[40:], atol=1e-4, rtol=1e-12)


def test_narrowest_posterior_that_encoders_give():
    generator = np.random.default_rng(2)
    mean = generator.normal(size=(300, 128)).astype(np.float32)
    stddev = np.full_like(mean, math.exp(-10))
    z = (mean + stddev * generator.normal(size=mean.shape)).astype(np.float64)[:20]
    result = log_aggregate_posterior(z, mean, stddev)
    expected = reference(z, mean.astype(np.float64), stddev.astype(np.float64))
    np.testing.assert_allclose(result, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("block_bytes", [1, 1000, 40_000, 2**25])
@pytest.mark.parametrize("count", [1, 257, 1100])
def test_any_block_size_gives_the_same(block_bytes, count):
    z, mean, stddev, _ = toy(n=1100, m=300, d=4, stddev=0.3)
    mean, stddev = mean[:count], stddev[:count]
    if block_bytes == 1:  # a block of one row and one column: few of them suffice
        z, mean, stddev = z[:7], mean[:20], stddev[:20]
    result = log_aggregate_posterior(z, mean, stddev, block_bytes=block_bytes)
    np.testing.assert_allclose(result, reference(z, mean, stddev), atol=1e-9, rtol=0)


@pytest.mark.parametrize(
    ("n", "m", "d"), [(20_000, 2_000, 8), (300, 40_000, 64), (20_000, 300, 64), (30, 2**20, 1)]
)
def test_memory_grows_neither_with_samples_nor_with_examples(n, m, d):
    z, mean, stddev, _ = toy(n=n, m=m, d=d, stddev=0.3)
    block_bytes = 2**21
    tracemalloc.start()
    log_aggregate_posterior(z, mean, stddev, block_bytes=block_bytes)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # At most 4 such arrays (z^2 and z, coefficients, tiles, sums) beside two numbers per sample;
    # the whole of any one of them would take 20 MB or more, all pairs 240 MB or more.
    assert peak < 4 * block_bytes + 16 * m


# Rosca et al. 2018, Algorithm 2: checked values of (average KL, estimate) for N = 1000.
@pytest.mark.parametrize(
    ("d", "stddev", "average_kl", "value"),
    [(2, 0.5, 1.4, 0.0), (10, 0.3, 12.0, 5.16), (50, 0.5, 34.7, 27.9)],
)
def test_toy_table(d, stddev, average_kl, value):
    z, mean, stddevs, _ = toy(n=1000, m=4000, d=d, stddev=stddev)
    result = marginal_kl(z, mean, stddevs)
    tolerance = 4 * (result.standard_error + result.average_kl_standard_error)
    assert result.average_kl == pytest.approx(average_kl, abs=tolerance)
    assert result.value == pytest.approx(value, abs=tolerance)
    assert result.floor == pytest.approx(max(0, result.average_kl - math.log(1000)))
    assert result.value >= result.floor - 4 * result.standard_error
    assert -4 * result.standard_error <= result.mutual_information
    assert result.mutual_information <= math.log(1000) + 4 * result.standard_error
    assert (result.m, result.n, result.log_n) == (4000, 1000, math.log(1000))


def test_one_example_gives_its_own_kl():
    generator = np.random.default_rng(3)
    mean, stddev = np.array([[0.5, -1.0, 2.0]]), np.array([[0.3, 0.8, 1.5]])
    z = mean + stddev * generator.normal(size=(20_000, 3))
    result = marginal_kl(z, mean, stddev)
    closed_form = 0.5 * np.sum(mean**2 + stddev**2 - 1 - 2 * np.log(stddev))
    assert result.average_kl == pytest.approx(closed_form, abs=1e-12)
    assert result.value == pytest.approx(closed_form, abs=4 * result.standard_error)
    assert result.standard_error < 0.03
    assert result.average_kl_standard_error is None


def test_surgery_identity():
    """Average KL = marginal KL + mutual information, the latter measured by itself."""
    z, mean, stddev, origin = toy(n=400, m=20_000, d=3, stddev=0.4)
    result = marginal_kl(z, mean, stddev)
    own = norm.logpdf(z, mean[origin], stddev[origin]).sum(axis=1)
    information = own - log_aggregate_posterior(z, mean, stddev)
    error = information.std() / math.sqrt(len(z)) + result.standard_error
    assert 0 < information.mean() < math.log(400)
    assert result.mutual_information == pytest.approx(information.mean(), abs=4 * error)


def test_standard_error_covers_repetitions():
    runs = [marginal_kl(*toy(n=50, m=200, d=2, stddev=0.3, seed=0)[:3])]
    _, mean, stddev, _ = toy(n=50, m=200, d=2, stddev=0.3, seed=0)
    generator = np.random.default_rng(4)
    for _ in range(200):
        origin = generator.integers(50, size=200)
        z = mean[origin] + 0.3 * generator.normal(size=(200, 2))
        runs.append(marginal_kl(z, mean, stddev))
    spread = np.std([run.value for run in runs], ddof=1)
    claimed = np.mean([run.standard_error for run in runs])
    assert spread == pytest.approx(claimed, rel=0.2)


@pytest.mark.parametrize("sizes", [(500,), (1, 2, 497), (64,) * 7 + (52,)])
def test_stream_gives_the_same_as_one_array(sizes):
    z, mean, stddev, _ = toy(n=300, m=500, d=5, stddev=0.3)
    blocks = iter(np.split(z, np.cumsum(sizes)[:-1]))
    streamed = marginal_kl_stream(blocks, mean, stddev, block_bytes=20_000)
    whole = marginal_kl(z, mean, stddev)
    assert streamed.value == pytest.approx(whole.value, abs=1e-10)
    assert streamed.standard_error == pytest.approx(whole.standard_error, abs=1e-10)
    assert streamed.m == 500


def test_flow_is_a_change_of_variables():
    """An affine flow z = a u + b keeps q Gaussian, so that the direct route gives the answer."""
    base, mean, stddev, _ = toy(n=200, m=400, d=3, stddev=0.3)
    a, b = np.array([2.0, 0.5, -1.5]), np.array([1.0, 0.0, -2.0])
    direct = marginal_kl(a * base + b, a * mean + b, np.abs(a) * stddev)
    log_det = np.full(400, -np.log(np.abs(a)).sum())
    conditional_kl = gaussian_kl(a * mean + b, np.abs(a) * stddev)
    blocks = (
        FlowSamples((a * base + b)[part], base[part], log_det[part])
        for part in (slice(0, 150), slice(150, 400))
    )
    through_flow = marginal_kl_stream(blocks, mean, stddev, conditional_kl=conditional_kl)
    assert through_flow.value == pytest.approx(direct.value, abs=1e-9)
    assert through_flow.mutual_information == pytest.approx(direct.mutual_information, abs=1e-9)


def test_float32_input_is_computed_in_float64():
    z, mean, stddev, _ = toy(n=100, m=50, d=20, stddev=0.001)
    single = [a.astype(np.float32) for a in (z, mean, stddev)]
    expected = reference(*(a.astype(np.float64) for a in single))
    np.testing.assert_allclose(log_aggregate_posterior(*single), expected, atol=1e-6, rtol=0)


def test_low_posterior_finds_the_hole():
    generator = np.random.default_rng(5)
    mean = generator.normal(size=(500, 2))
    mean = mean[mean[:, 0] < 0]  # the posterior leaves the right half empty
    z = generator.normal(size=(300, 2))
    log_q = log_aggregate_posterior(z, mean, np.full_like(mean, 0.3))
    lowest = low_posterior(z, log_q, 20)
    assert (z[lowest, 0] > 1).all()
    assert (np.diff(log_q[lowest]) >= 0).all()
    assert log_q[lowest].max() <= np.delete(log_q, lowest).min()


def test_low_posterior_relative_to_the_prior():
    z = np.array([[0.0], [3.0]])
    log_q = np.array([-1.5, -2.0])  # log p is -0.92 and -5.42
    assert low_posterior(z, log_q, 1).tolist() == [1]
    assert low_posterior(z, log_q, 1, score="log_q_minus_log_p").tolist() == [0]


Z, MEAN, STDDEV, _ = toy(n=20, m=10, d=3, stddev=0.5)
NAN = np.where(np.arange(3) == 1, np.nan, Z)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: marginal_kl(Z, MEAN, 0 * STDDEV), "stddev=0"),
        (lambda: marginal_kl(Z, MEAN, STDDEV[:5]), "stddev has shape"),
        (lambda: marginal_kl(Z[:, :2], MEAN, STDDEV), "z has 2 dimensions"),
        (lambda: marginal_kl(NAN, MEAN, STDDEV), "z holds a value that is not finite"),
        (lambda: marginal_kl(Z, MEAN, np.full_like(STDDEV, np.inf)), "stddev holds"),
        (lambda: marginal_kl(Z[:1], MEAN, STDDEV), "1 samples"),
        (lambda: marginal_kl_stream([], MEAN, STDDEV), "0 samples"),
        (lambda: marginal_kl(Z, MEAN, STDDEV, conditional_kl=np.ones(3)), "conditional_kl"),
        (lambda: marginal_kl(FlowSamples(Z, Z, np.zeros(10)), MEAN, STDDEV), "conditional_kl"),
        (
            lambda: marginal_kl(
                FlowSamples(Z, Z[:5], np.zeros(10)), MEAN, STDDEV, conditional_kl=np.ones(20)
            ),
            "FlowSamples of",
        ),
        (
            lambda: marginal_kl(
                FlowSamples(NAN, Z, np.zeros(10)), MEAN, STDDEV, conditional_kl=np.ones(20)
            ),
            "finite",
        ),
        (lambda: log_aggregate_posterior(Z[0], MEAN, STDDEV), "z has shape"),
        (lambda: low_posterior(Z, np.zeros(10), 11), "count=11"),
        (lambda: low_posterior(Z, np.zeros(9), 1), "log_q has shape"),
        (lambda: low_posterior(Z, np.zeros(10), 1, score="q"), "score='q'"),
    ],
)
def test_guards(call, message):
    with pytest.raises(UsageError, match=message) as info:
        call()
    assert "\n" not in str(info.value)
