import math
import tracemalloc

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import norm

from zoo.errors import UsageError
from zoo.evaluation.gaussians import log_normal
from zoo.evaluation.latent.aggregate_posterior import Draws, log_aggregate_posterior
from zoo.evaluation.latent.low_posterior import least_likely as low_posterior
from zoo.evaluation.latent.marginal_kl import (
    marginal_kl,
    marginal_kl_records,
    marginal_kl_stream,
)
from zoo.evaluation.latent.overlap import log_overlap, log_overlap_in_float32


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


def of(z, index):
    """Draws without a flow."""
    return Draws(index, z, z, np.zeros(len(z)))


def drawn(mean, stddev, count, seed=0):
    generator = np.random.default_rng(seed)
    index = generator.integers(len(mean), size=count)
    return of(mean[index] + stddev[index] * generator.normal(size=(count, mean.shape[1])), index)


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
    z, mean, stddevs, origin = toy(n=1000, m=4000, d=d, stddev=stddev)
    result = marginal_kl(of(z, origin), mean, stddevs)
    tolerance = 4 * (result.standard_error + result.average_kl_standard_error)
    assert result.average_kl == pytest.approx(average_kl, abs=tolerance)
    assert result.value == pytest.approx(value, abs=tolerance)
    assert result.floor == pytest.approx(max(0, result.average_kl - math.log(1000)))
    assert result.floor <= result.value <= result.average_kl
    assert 0 <= result.mutual_information <= math.log(1000) + 1e-9
    assert (result.m, result.n, result.log_n) == (4000, 1000, math.log(1000))


def test_one_example_gives_its_own_kl():
    """Without noise: the control variate is all there is."""
    mean, stddev = np.array([[0.5, -1.0, 2.0]]), np.array([[0.3, 0.8, 1.5]])
    result = marginal_kl(drawn(mean, stddev, 500), mean, stddev)
    closed_form = 0.5 * np.sum(mean**2 + stddev**2 - 1 - 2 * np.log(stddev))
    assert result.average_kl == pytest.approx(closed_form, abs=1e-12)
    assert result.value == pytest.approx(closed_form, abs=1e-12)
    assert result.standard_error < 1e-12 < result.plain_standard_error
    assert result.average_kl_standard_error is result.population_standard_error is None


def test_five_gaussians_by_quadrature():
    """Gauss-Hermite of 100^2 and of 180^2 nodes agree to 1e-12."""
    n = np.arange(5)
    mean = np.stack([n - 2, np.cos(n)], axis=1)
    stddev = np.stack([np.full(5, 0.4), 0.3 + 0.1 * n], axis=1)
    result = marginal_kl(drawn(mean, stddev, 200_000), mean, stddev)
    assert result.average_kl == pytest.approx(2.1547169785386573, abs=1e-12)
    assert result.value == pytest.approx(0.8539421311615, abs=4 * result.standard_error)
    assert result.standard_error == pytest.approx(0.0011, rel=0.05)
    assert result.plain_standard_error == pytest.approx(0.0027, rel=0.05)
    assert result.mutual_information == pytest.approx(1.3007748473771, abs=0.005)
    draws = drawn(mean, stddev, 200_000)
    g, _ = log_overlap_in_float32(draws.z, draws.example, mean, stddev)
    assert g.mean() == pytest.approx(0.3086630650570, abs=0.005)


def test_two_gaussians_of_one_dimension():
    mean, stddev = np.array([[-1.0], [1.0]]), np.array([[0.5], [0.8]])
    result = marginal_kl(drawn(mean, stddev, 50_000), mean, stddev)
    assert result.average_kl == pytest.approx(0.680645365937, abs=1e-12)
    assert result.value == pytest.approx(0.143568625322, abs=4 * result.standard_error)


def test_groups_of_equal_codes():
    """Every draw meets the K codes of its group, and no other."""
    mean = np.repeat(np.arange(50.0)[:, None] * 100, 20, axis=0)
    stddev = np.full_like(mean, 0.7)
    draws = drawn(mean, stddev, 300)
    g = log_overlap(draws.z, draws.example, mean, stddev)
    np.testing.assert_allclose(g, math.log(20), atol=1e-9)
    result = marginal_kl(draws, mean, stddev)
    assert result.mutual_information == pytest.approx(math.log(50), abs=1e-9)
    assert math.log(1000) - result.mutual_information == pytest.approx(2.995732273554, abs=1e-9)
    assert result.identification_rate == pytest.approx(1 / 20)


def test_collapse_has_no_noise_to_regress_on():
    mean, stddev = np.zeros((300, 5)), np.ones((300, 5))
    result = marginal_kl(drawn(mean, stddev, 400), mean, stddev)
    assert result.value == result.average_kl == result.floor == 0
    assert result.standard_error < 1e-9 and result.slope == 1
    assert result.identification_rate == pytest.approx(1 / 300)


def test_values_on_draws_that_are_told():
    generator = np.random.default_rng(0)
    mean = generator.standard_normal((1000, 10)) * math.sqrt(0.91)
    stddev, index = np.full_like(mean, 0.3), generator.integers(1000, size=2000)
    z = mean[index] + stddev[index] * generator.standard_normal((2000, 10))
    result = marginal_kl(of(z, index), mean, stddev)
    assert result.value == pytest.approx(5.142952907813, abs=1e-7)
    assert result.standard_error == pytest.approx(0.00443481694905, abs=1e-7)
    assert result.average_kl == pytest.approx(12.022425592395, abs=1e-11)
    plain = (log_aggregate_posterior(z, mean, stddev) - log_normal(z)).mean()
    assert plain == pytest.approx(5.156881092255, abs=1e-11)
    g = log_overlap(z, index, mean, stddev).mean()
    assert result.average_kl - math.log(1000) + g == pytest.approx(5.142701293605, abs=1e-11)


def test_surgery_identity():
    """Average KL = marginal KL + mutual information, the latter measured by itself."""
    z, mean, stddev, origin = toy(n=400, m=20_000, d=3, stddev=0.4)
    result = marginal_kl(of(z, origin), mean, stddev)
    own = norm.logpdf(z, mean[origin], stddev[origin]).sum(axis=1)
    information = own - log_aggregate_posterior(z, mean, stddev)
    error = information.std() / math.sqrt(len(z)) + result.standard_error
    assert 0 < information.mean() < math.log(400)
    assert result.mutual_information == pytest.approx(information.mean(), abs=4 * error)


@pytest.mark.parametrize(("d", "stddev"), [(2, 0.3), (10, 0.4)])
def test_standard_error_covers_repetitions(d, stddev):
    _, mean, stddevs, _ = toy(n=50, m=1, d=d, stddev=stddev)
    runs = [marginal_kl(drawn(mean, stddevs, 200, seed), mean, stddevs) for seed in range(200)]
    spread = np.std([run.value for run in runs], ddof=1)
    # Where few codes meet another posterior most errors are too small, and few too large.
    claimed = np.sqrt(np.mean([run.standard_error**2 for run in runs]))
    assert spread == pytest.approx(claimed, rel=0.2)


@pytest.mark.parametrize(("d", "stddev", "least"), [(2, 0.3, 1.0), (10, 0.3, 100), (10, 0.5, 2)])
def test_the_line_never_costs_and_often_gains(d, stddev, least):
    """Variance over that of the plain mean, which the slope of 1 may multiply by 70."""
    z, mean, stddevs, origin = toy(n=1000, m=2000, d=d, stddev=stddev)
    result = marginal_kl(of(z, origin), mean, stddevs)
    assert (result.plain_standard_error / result.standard_error) ** 2 > 0.99 * least


def test_population_error_covers_other_images():
    """Over sets of other images: the encoder stays, its examples do not."""
    runs = []
    for seed in range(60):
        z, mean, stddev, origin = toy(n=300, m=300, d=2, stddev=0.5, seed=seed)
        z[:] = mean + stddev * np.random.default_rng(seed + 1000).normal(size=z.shape)
        runs.append(marginal_kl(of(z, np.arange(300)), mean, stddev))
    spread = np.std([run.value for run in runs], ddof=1)
    claimed = np.mean([run.population_standard_error for run in runs])
    assert 0.8 * spread < claimed < 4 * spread


@pytest.mark.parametrize("sizes", [(500,), (1, 2, 497), (64,) * 7 + (52,)])
def test_stream_gives_the_same_as_one_array(sizes):
    z, mean, stddev, origin = toy(n=300, m=500, d=5, stddev=0.3)
    cuts = np.cumsum(sizes)[:-1]
    blocks = map(of, np.split(z, cuts), np.split(origin, cuts))
    streamed = marginal_kl_stream(blocks, mean, stddev, block_bytes=20_000, total=500)
    whole = marginal_kl(of(z, origin), mean, stddev)
    assert streamed.value == pytest.approx(whole.value, abs=0.1 * whole.standard_error)
    assert streamed.standard_error == pytest.approx(whole.standard_error, rel=0.01)
    assert streamed.m == 500


def test_flow_is_a_change_of_variables():
    """An affine flow z = a u + b keeps q Gaussian, so that the direct route gives the answer."""
    base, mean, stddev, origin = toy(n=200, m=4000, d=3, stddev=0.3)
    a, b = np.array([2.0, 0.5, -1.5]), np.array([1.0, 0.0, -2.0])
    direct = marginal_kl(of(a * base + b, origin), a * mean + b, np.abs(a) * stddev)
    log_det = np.full(4000, -np.log(np.abs(a)).sum())
    parts = (slice(0, 150), slice(150, 4000))
    blocks = (Draws(origin[p], base[p], (a * base + b)[p], log_det[p]) for p in parts)
    through_flow = marginal_kl_stream(blocks, mean, stddev)
    for name in ("value", "average_kl"):
        one, other = getattr(through_flow, name), getattr(direct, name)
        error = math.hypot(through_flow.standard_error, direct.standard_error)
        assert one == pytest.approx(other, abs=4 * error), name
    information = through_flow.mutual_information
    assert information == pytest.approx(direct.mutual_information, abs=0.02)
    assert through_flow.plain_standard_error == pytest.approx(direct.plain_standard_error)
    assert direct.standard_error < direct.plain_standard_error / 2


def test_a_weak_flow_leaves_little_noise():
    """Only what the flow changes, and the overlap, are left to chance."""
    base, mean, stddev, origin = toy(n=300, m=2000, d=10, stddev=0.3)
    z = base + 0.1 * np.sin(base)
    log_det = -np.log(1 + 0.1 * np.cos(base)).sum(axis=1)
    result = marginal_kl(Draws(origin, base, z, log_det), mean, stddev)
    assert result.standard_error < result.plain_standard_error / 4


@pytest.mark.parametrize(
    ("d", "stddev", "m", "warned"),
    [
        (2, 0.5, 400, []),
        (2, 0.5, 50, ["n = 50, of at least 200"]),
        (20, 0.3, 400, ["saturated: a code tells its image among all N = 400"]),
    ],
)
def test_a_record_says_where_it_tells_little(d, stddev, m, warned):
    z, mean, stddevs, origin = toy(n=400, m=m, d=d, stddev=stddev)
    result = marginal_kl(of(z, origin), mean, stddevs)
    names = ("marginal_kl", "average_kl", "identification_rate")
    record, average, rate = marginal_kl_records(result, names)
    assert len(record.warnings) == len(warned)
    assert all(map(str.startswith, record.warnings, warned))
    assert average.warnings == rate.warnings == ()
    assert record.details["slope"] == result.slope
    assert (rate.value > 0.9) == (d == 20)


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


Z, MEAN, STDDEV, ORIGIN = toy(n=20, m=10, d=3, stddev=0.5)
NAN = np.where(np.arange(3) == 1, np.nan, Z)
DRAWS = of(Z, ORIGIN)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: marginal_kl(DRAWS, MEAN, 0 * STDDEV), "stddev=0"),
        (lambda: marginal_kl(DRAWS, MEAN, STDDEV[:5]), "stddev has shape"),
        (lambda: marginal_kl(of(Z[:, :2], ORIGIN), MEAN, STDDEV), "base has 2 dimensions"),
        (lambda: marginal_kl(of(NAN, ORIGIN), MEAN, STDDEV), "holds a value that is not finite"),
        (lambda: marginal_kl(DRAWS, MEAN, np.full_like(STDDEV, np.inf)), "stddev holds"),
        (lambda: marginal_kl(of(Z[:2], ORIGIN[:2]), MEAN, STDDEV), "2 samples"),
        (lambda: marginal_kl_stream([], MEAN, STDDEV), "0 samples"),
        (lambda: marginal_kl(of(Z, ORIGIN[:5]), MEAN, STDDEV), "Draws of shapes"),
        (lambda: marginal_kl(of(Z, ORIGIN + 20), MEAN, STDDEV), "expected whole"),
        (lambda: marginal_kl(of(Z, ORIGIN / 2), MEAN, STDDEV), "expected whole"),
        (lambda: marginal_kl(DRAWS._replace(z=Z[:, :2]), MEAN, STDDEV), "Draws of shapes"),
        (lambda: marginal_kl(DRAWS._replace(base=NAN), MEAN, STDDEV), "base holds"),
        (lambda: marginal_kl(DRAWS._replace(log_det=NAN[:, 1]), MEAN, STDDEV), "all finite"),
        (lambda: log_aggregate_posterior(Z[0], MEAN, STDDEV), "z has shape"),
        (lambda: log_aggregate_posterior(Z[:, :2], MEAN, STDDEV), "z has 2 dimensions"),
        (lambda: low_posterior(Z, np.zeros(10), 11), "count=11"),
        (lambda: low_posterior(Z, np.zeros(9), 1), "log_q has shape"),
        (lambda: low_posterior(Z, np.zeros(10), 1, score="q"), "score='q'"),
    ],
)
def test_guards(call, message):
    with pytest.raises(UsageError, match=message) as info:
        call()
    assert "\n" not in str(info.value)
