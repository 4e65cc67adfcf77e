"""The problems of the leaderboard: their truth, and draws that have it."""

import numpy as np
import pytest

from zoo.distributions.gaussian_density import Gaussian
from zoo.evaluation.latent.density_model_kl import density_model_kl
from zoo.paper.lab import Lab
from zoo.paper.leaderboard import ESTIMATORS, gauss, gauss_kl, leaderboard, warp, warp_kl
from zoo.paper.outcome import column
from zoo.paper.scales import SCALES


@pytest.mark.parametrize(
    ("d", "kl"),
    [(1, 0.363147180560), (10, 1.522475761775), (20, 2.830084714881), (80, 10.736040038644)],
)
def test_kl_of_the_gaussian_problem(d, kl):
    assert gauss_kl(d) == pytest.approx(kl, abs=1e-11)


def test_kl_of_the_warped_problem():
    assert warp_kl(1) == pytest.approx(0.124210617588985, abs=1e-11)
    # By Monte Carlo from exact densities, 20,000 draws: 3.80, 7.62, 30.37.
    assert [warp_kl(d) for d in (10, 20, 80)] == pytest.approx([3.80, 7.62, 30.37], abs=0.04)


def test_a_gaussian_has_all_of_the_first_problem_and_not_of_the_second():
    for problem, kl, share in ((gauss, gauss_kl, 1.0), (warp, warp_kl, 0.78)):
        stream = problem(10, 3)
        fitted = Gaussian.fit(stream(0)(50_000))
        value = density_model_kl({"r": fitted}, [stream(1)(50_000)])["r"].value
        assert value == pytest.approx(share * kl(10), rel=0.03)


def test_streams_and_seeds_are_their_own():
    draws = [warp(4, seed)(stream)(3) for seed in (0, 1) for stream in (0, 1)]
    assert len({draw.tobytes() for draw in draws}) == 4
    np.testing.assert_array_equal(draws[0], warp(4, 0)(0)(3))


@pytest.mark.slow
def test_every_estimator_stands_in_every_row(tmp_path):
    scale = SCALES["smoke"]
    outcome = leaderboard(Lab(scale, tmp_path))
    rows = outcome.tables["estimates"]
    for problem in ("gauss", "warp"):
        for d in scale.leaderboard_dimensions:
            here = {"problem": problem, "dimensions": d}
            assert column(rows, "estimator", **here) == list(ESTIMATORS) * len(scale.seeds)
            assert np.isfinite(column(rows, "error", **here)).all()
            gaussian = column(rows, "error", estimator="gaussian", **here)
            assert np.abs(gaussian).max() < 0.3
    caption, _ = outcome.pictures["errors"]
    assert "d = 1, 2; 2 seeds" in caption and "At scale `paper`: d = 1, 10, 20, 80" in caption
