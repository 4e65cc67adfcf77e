"""Estimators of a KL against the truth, by dimension: what the marginal KL of codes is measured by.

Two laws q against p = N(0, I), both turned by a random rotation:

- "gauss": z = s e + 0.3, s from 0.5 to 1.5 over the dimensions. A Gaussian, so that a density model
  of its kind has it exactly.
- "warp": z = (u + 0.8 tanh 2u) / 1.3, u standard normals that correlate by 0.8 in pairs. No
  Gaussian: bimodal and tailed along each axis, and curved in each pair.

The KL of the first has a closed form. That of the second is the sum of the marginal ones, by
quadrature, and of the information -log(1 - 0.8^2) / 2 of each pair, which no warp changes.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.integrate import quad
from tqdm import tqdm

from zoo.distributions.gaussian_density import Gaussian
from zoo.evaluation.gaussians import normal_sampler
from zoo.evaluation.latent.density_model_kl import (
    FIT_SAMPLES,
    FULL_MIXTURE,
    density_model_kl,
    fit_density_model,
    whitened,
)
from zoo.evaluation.latent.density_ratio_kl import DensityRatio, DensityRatioKL, RatioOptions
from zoo.evaluation.latent.fitting import Sampler
from zoo.figures import panels
from zoo.paper.lab import Lab
from zoo.paper.outcome import Claim, Outcome, Rows, column, compare_pairs, mean_and_error
from zoo.paper.scales import SCALES, Scale

# A small critic: what matters is what a reference takes off it. All chosen.
OPTIONS = RatioOptions(hidden_layers=3, units=128, learning_rate=1e-3, batch_size=128)
SAMPLES = 20_000  # fresh, behind each estimate
SHIFT, WARP, STRETCH, CORRELATION = 0.3, 0.8, 1.3, 0.8
# Algorithm 3 is a classifier from the prior; of the others from the Gaussian, and of `ratio_dv`,
# the Donsker-Varadhan value.
PLAIN, REFERENCE = "ratio", "gaussian"
ESTIMATORS = (PLAIN, "ratio_dv", REFERENCE, "gaussian_and_ratio", FULL_MIXTURE, "maf")


def leaderboard(lab: Lab) -> Outcome:
    """The error of each estimator in every dimension of the scale, several seeds."""
    problems: dict[str, tuple[Problem, Callable[[int], float]]] = {
        "gauss": (gauss, gauss_kl),
        "warp": (warp, warp_kl),
    }
    cells = [
        (name, d, seed)
        for name in problems
        for d in lab.scale.leaderboard_dimensions
        for seed in lab.scale.problem_seeds
    ]
    rows: Rows = []
    for name, d, seed in tqdm(cells, "ratio_leaderboard", unit=" problems"):
        problem, kl = problems[name]
        where = {"problem": name, "dimensions": d, "seed": seed}
        find = functools.partial(_estimates, lab, problem(d, seed), d, seed)
        sizes = {"steps": lab.scale.leaderboard_steps, "maf": lab.scale.leaderboard_maf_steps}
        values = lab.once("leaderboard", find, **where, **sizes)
        known = {**where, "true_kl": kl(d)}
        rows += [
            {**known, "estimator": estimator, "estimate": value, "error": value - kl(d)}
            for estimator, value in values.items()
        ]
    means = _means(rows)
    caption = (
        "Estimate less true KL(q||p), nats, mean and standard error over seeds. Of all but "
        f"`ratio`, less than 0 is a lower bound that is not tight. {_sizes(lab.scale)}"
    )
    full = SCALES["paper"]
    if lab.scale.name != full.name:
        caption += f" At scale `{full.name}`: {_sizes(full)}"
    pictures = {"errors": (caption, _figure(means))}
    return Outcome(_claims(rows), {"means": means, "estimates": rows}, pictures)


# ---- The problems ------------------------------------------------------------------------------

Problem = Callable[[int, int], Callable[[int], Sampler]]


def gauss(d: int, seed: int) -> Callable[[int], Sampler]:
    """A stream's number -> fresh draws of "gauss"."""
    scales = _scales(d)
    return _turned(d, seed, lambda e: scales * e + SHIFT)


def warp(d: int, seed: int) -> Callable[[int], Sampler]:
    """A stream's number -> fresh draws of "warp", d even or 1."""

    def of_normals(e: np.ndarray) -> np.ndarray:
        u = e.copy()
        if d > 1:
            u[:, 1::2] = CORRELATION * e[:, ::2] + math.sqrt(1 - CORRELATION**2) * e[:, 1::2]
        return (u + WARP * np.tanh(2 * u)) / STRETCH

    return _turned(d, seed, of_normals)


def gauss_kl(d: int) -> float:
    """KL(q||p) of "gauss", nats."""
    scales = _scales(d)
    return float((0.5 * (scales**2 + SHIFT**2 - 1) - np.log(scales)).sum())


def warp_kl(d: int) -> float:
    """KL(q||p) of "warp", nats."""

    def term(u: float) -> float:
        tanh = math.tanh(2 * u)
        z, slope = (u + WARP * tanh) / STRETCH, (1 + 2 * WARP * (1 - tanh**2)) / STRETCH
        density = math.exp(-0.5 * u * u) / math.sqrt(2 * math.pi)
        return density * (0.5 * (z * z - u * u) - math.log(slope))

    marginal = quad(term, -12, 12, epsabs=1e-12, limit=200)[0]
    return d * marginal - (d // 2) * 0.5 * math.log(1 - CORRELATION**2)


def _scales(d: int) -> np.ndarray:
    return np.linspace(0.5, 1.5, d)


def _turned(
    d: int, seed: int, of_normals: Callable[[np.ndarray], np.ndarray]
) -> Callable[[int], Sampler]:
    rotation = np.linalg.qr(np.random.default_rng(seed).standard_normal((d, d)))[0]

    def sampler(stream: int) -> Sampler:
        generator = np.random.default_rng([seed, stream])

        def draw(count: int) -> np.ndarray:
            z = of_normals(generator.standard_normal((count, d)))
            return (z @ rotation.T).astype(np.float32)

        return draw

    return sampler


# ---- The estimators ----------------------------------------------------------------------------


def _estimates(lab: Lab, stream: Callable[[int], Sampler], d: int, seed: int) -> dict[str, float]:
    """By name, in the order of `ESTIMATORS`."""
    plain = _ratio(lab, stream(0), d, seed)
    gaussian = Gaussian.fit(stream(1)(FIT_SAMPLES))
    models: dict[str, Any] = {REFERENCE: gaussian}
    models[FULL_MIXTURE] = fit_density_model(FULL_MIXTURE, stream(2), d, seed=seed)
    steps = lab.scale.leaderboard_maf_steps
    models["maf"] = fit_density_model("maf", stream(3), d, steps, seed)
    known = density_model_kl(models, [stream(4)(SAMPLES)])
    rest = _ratio(lab, whitened(gaussian, stream(5)), d, seed)
    found = {name: result.value for name, result in known.items()}
    found |= {PLAIN: plain.value, "ratio_dv": plain.donsker_varadhan}
    found["gaussian_and_ratio"] = found[REFERENCE] + rest.donsker_varadhan
    return {name: found[name] for name in ESTIMATORS}


def _ratio(lab: Lab, draw: Sampler, d: int, seed: int) -> DensityRatioKL:
    ratio = DensityRatio(draw, normal_sampler(d, seed + 1), d, OPTIONS, seed)
    ratio.train(lab.scale.leaderboard_steps)
    return ratio.estimate(SAMPLES)


# ---- What is seen ------------------------------------------------------------------------------


def _means(rows: Rows) -> Rows:
    """One row per problem and dimension: the true KL, and each estimator's mean error."""
    found: Rows = []
    for problem, d in dict.fromkeys((row["problem"], row["dimensions"]) for row in rows):
        where = {"problem": problem, "dimensions": d}
        row = {**where, "true_kl": column(rows, "true_kl", **where)[0]}
        for name in ESTIMATORS:
            mean = mean_and_error(column(rows, "error", estimator=name, **where))
            row |= {name: mean.value, f"{name}_standard_error": mean.standard_error}
        found.append(row)
    return found


def _sizes(scale: Scale) -> str:
    dimensions = ", ".join(map(str, scale.leaderboard_dimensions))
    return (
        f"d = {dimensions}; {len(scale.problem_seeds)} seeds; {scale.leaderboard_steps} updates of "
        f"a classifier, {scale.leaderboard_maf_steps} of the flow."
    )


def _claims(rows: Rows) -> list[Claim]:
    """Against the classifier from the prior, in the highest dimension."""
    d = max(row["dimensions"] for row in rows)
    claims = []
    for problem in dict.fromkeys(row["problem"] for row in rows):
        where = {"problem": problem, "dimensions": d}
        errors = {
            name: [abs(error) for error in column(rows, "error", estimator=name, **where)]
            for name in ESTIMATORS
        }
        claims += [
            compare_pairs(
                f"{problem}, d = {d}: {name} is nearer the true KL than Algorithm 3",
                errors[name],
                errors[PLAIN],
                "nats of |error|",
            )
            for name in ESTIMATORS
            if name != PLAIN
        ]
    return claims


def _figure(means: Rows) -> Figure:
    problems = list(dict.fromkeys(row["problem"] for row in means))
    figure, axes = panels(len(problems), 2, (5.0, 3.6))
    for axis, problem in zip(axes, problems, strict=True):
        here = [row for row in means if row["problem"] == problem]
        places = np.arange(len(here))
        for i, name in enumerate(ESTIMATORS):
            axis.errorbar(
                places + 0.1 * (i - len(ESTIMATORS) / 2),
                [row[name] for row in here],
                [row[f"{name}_standard_error"] or 0.0 for row in here],
                fmt="o",
                markersize=4,
                capsize=2,
                label=name,
            )
        axis.axhline(0, color="0.4", linewidth=1)
        labels = [f"d = {row['dimensions']}\nKL {row['true_kl']:.3g}" for row in here]
        axis.set_xticks(places, labels)
        axis.set(title=problem, ylabel="estimate - true KL, nats")
    axes[0].legend(fontsize=7)
    return figure
