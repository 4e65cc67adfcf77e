"""Density ratios where the truth is known: two Gaussians (Appendix D; Figures 18 to 20)."""

from __future__ import annotations

import functools
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.linalg import cho_factor, cho_solve
from tqdm import tqdm

from zoo.evaluation.latent.density_ratio_kl import DensityRatio, RatioOptions
from zoo.figures import panels
from zoo.paper.gaussian_learner import GaussianLearner
from zoo.paper.lab import Lab
from zoo.paper.outcome import MARGIN, Claim, Outcome, Rows, judge, mean_and_error
from zoo.paper.scales import Scale

POINTS = 25  # of each curve; chosen
SAMPLES = 10_000  # behind each estimate; chosen
# Of the updates, over which an estimate's error is a mean: it moves more from one of them to the
# next than from seed to seed. Chosen.
LATE = 0.25
LEARNING_RATES = (1e-4, 1e-3)  # of the critic: the first chosen, the second for the sensitivity
# Four layers [P]; the width of small problems and the rate are chosen (paper.md section 10 [C]).
OPTIONS = {"hidden_layers": 4, "units": 256}

Gaussian = tuple[np.ndarray, np.ndarray]  # A [d, k] and b [d] of x = A e + b, e ~ N(0, I)


def random_gaussian(dimensions: int, generator: np.random.Generator) -> Gaussian:
    """N(b, A A^T) with standard normal entries and k = 10 d, which keeps A A^T well conditioned
    (equation 12; the relation of k and d is a reading, paper.md section 2 [R, L])."""
    a = generator.standard_normal((dimensions, 10 * dimensions))
    return a, generator.standard_normal(dimensions)


def gaussian_kl(one: Gaussian, two: Gaussian) -> float:
    """KL(N(b1, A1 A1^T) || N(b2, A2 A2^T)), nats, by Cholesky factors in float64; infinite where
    the second covariance is singular."""
    (a1, b1), (a2, b2) = ((a.astype(np.float64), b.astype(np.float64)) for a, b in (one, two))
    cov1 = a1 @ a1.T
    try:
        factor1, factor2 = cho_factor(cov1), cho_factor(a2 @ a2.T)
    except np.linalg.LinAlgError:
        return math.inf
    shift = b2 - b1
    log_det = [2 * np.log(np.diag(factor)).sum() for factor, _ in (factor1, factor2)]
    trace = np.trace(cho_solve(factor2, cov1))
    return 0.5 * (trace + shift @ cho_solve(factor2, shift) - len(b1) + log_det[1] - log_det[0])


def sampler(gaussian: Gaussian, seed: int) -> Any:
    """Fresh draws, float32 `[count, d]`."""
    a, b = gaussian
    generator = np.random.default_rng(seed)
    # The Gaussian itself: d normals a draw, where x = A e + b would take 10 d.
    root = np.linalg.cholesky(a @ a.T)
    return lambda count: (generator.standard_normal((count, len(b))) @ root.T + b).astype(
        np.float32
    )


def synthetic(lab: Lab) -> Outcome:
    """Estimation and learning, several seeds, in every dimension of the scale."""
    steps, fits = _points(lab.scale.synthetic_steps), list(_fits(lab.scale))
    found: dict[str, Rows] = {"estimation": [], "learning": []}
    with tqdm(total=len(fits) * steps[-1], desc="synthetic", unit=" updates") as bar:
        for i, (name, fit, where) in enumerate(fits, 1):
            find = functools.partial(fit, steps, bar, **where)
            found[name] += lab.once(name, find, steps=steps[-1], **where)
            bar.update(i * steps[-1] - bar.n)  # of those found before
    estimation, learning = found.values()
    claims = [claim for d in lab.scale.dimensions for claim in _claims(estimation, learning, d)]
    pictures = {
        "estimation": (
            "Estimated minus true KL of two fixed Gaussians, nats, one line per seed and learning "
            "rate of the critic.",
            _picture(lab, estimation, ("error",)),
        ),
        "learning": (
            "A Gaussian learning another by the critic's density ratio: true KL (solid) and the "
            "estimate that it minimises (dotted), nats, one pair of lines per seed.",
            _picture(lab, learning, ("true_kl", "estimate")),
        ),
    }
    return Outcome(claims, found, pictures)


def _fits(scale: Scale) -> Iterator[tuple[str, Callable[..., Rows], dict[str, Any]]]:
    """Of which table each is, its function and what that takes."""
    for d in scale.dimensions:
        for seed in scale.problem_seeds:
            where = {"d": d, "seed": seed}
            for rate in LEARNING_RATES:
                yield "estimation", _estimate, {**where, "rate": rate}
            yield "learning", _learn, where


def _points(steps: int) -> list[int]:
    return sorted({int(s) for s in np.linspace(0, steps, min(POINTS, steps) + 1)})


def _estimate(steps: Sequence[int], bar: tqdm, d: int, seed: int, rate: float) -> Rows:
    """Both Gaussians fixed."""
    generator = np.random.default_rng(seed)
    one, two = random_gaussian(d, generator), random_gaussian(d, generator)
    true = gaussian_kl(one, two)
    options = RatioOptions(learning_rate=rate, **OPTIONS)
    ratio = DensityRatio(sampler(one, seed), sampler(two, seed + 1), d, options, seed)
    rows = []
    for step in steps:
        ratio.train(step - ratio.steps, bar)
        found = ratio.estimate(SAMPLES)
        row = {"dimensions": d, "seed": seed, "learning_rate": rate, "step": step, "true_kl": true}
        rows.append({**row, "estimate": found.value, "error": found.value - true})
    return rows


def _learn(steps: Sequence[int], bar: tqdm, d: int, seed: int) -> Rows:
    """The second Gaussian learns the first, from the same start as in `_estimate`."""
    generator = np.random.default_rng(seed)
    one, two = random_gaussian(d, generator), random_gaussian(d, generator)
    learner = GaussianLearner(
        one, two, RatioOptions(learning_rate=LEARNING_RATES[0], **OPTIONS), seed
    )
    rows = []
    for step in steps:
        learner.train(step - learner.steps, bar)
        true = gaussian_kl(learner.gaussian(), one)  # the reverse KL, which the learner minimises
        row = {"dimensions": d, "seed": seed, "step": step, "true_kl": true}
        rows.append({**row, "estimate": learner.estimate(SAMPLES)})
    return rows


def _claims(estimation: Rows, learning: Rows, d: int) -> list[Claim]:
    """The paper's: inaccurate estimates everywhere; learning falls at d = 1, 10, diverges above."""
    rows = [
        r for r in estimation if r["dimensions"] == d and r["learning_rate"] == LEARNING_RATES[0]
    ]
    last = max(row["step"] for row in rows)
    by_seed = defaultdict(list)
    for row in rows:
        if row["step"] > (1 - LATE) * last:
            by_seed[row["seed"]].append(abs(row["error"]) / row["true_kl"])
    shares = [mean_and_error(values).value for values in by_seed.values()]
    ends = [
        [row["true_kl"] for row in learning if (row["dimensions"], row["step"]) == (d, step)]
        for step in (0, last)
    ]
    drops = [math.log10(end / start) for start, end in zip(*ends, strict=True)]
    sign, change = (-1, "fall") if d <= 10 else (1, "grow")
    share, drop = (mean_and_error(values).value for values in (shares, drops))
    return [
        judge(
            f"d = {d}: the estimate of the KL is inaccurate (here: off by more than a tenth)",
            mean_and_error([share - MARGIN for share in shares]),
            f"mean |error| / true KL {share:.3g}, last {LATE:.0%} of {last} updates",
        ),
        judge(
            f"d = {d}: learning by the density ratio makes the true KL {change}",
            mean_and_error([sign * drop for drop in drops]),
            f"mean log10 of the true KL's change {drop:.3g} over {last} updates",
        ),
    ]


def _picture(lab: Lab, rows: Rows, names: Sequence[str]) -> Figure:
    figure, axes = panels(len(lab.scale.dimensions), columns=2)
    for axis, d in zip(axes, lab.scale.dimensions, strict=True):
        chosen = [row for row in rows if row["dimensions"] == d]
        keys = dict.fromkeys((row["seed"], row.get("learning_rate")) for row in chosen)
        for i, key in enumerate(keys):
            line = [row for row in chosen if (row["seed"], row.get("learning_rate")) == key]
            for name, style in zip(names, ("-", ":"), strict=False):
                x, y = ([row[column] for row in line] for column in ("step", name))
                axis.plot(x, y, style, color=f"C{i % 10}", linewidth=1)
        label = " (solid), ".join(names).replace("_", " ")
        axis.set(title=f"d = {d}", xlabel="updates", ylabel=f"{label}, nats")
        if names[0] == "true_kl":
            axis.set_yscale("symlog", linthresh=0.1)
        axis.grid(alpha=0.3)
    return figure
