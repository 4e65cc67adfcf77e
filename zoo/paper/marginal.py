"""How well the aggregate posterior matches the prior: Figures 1 and 22."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from zoo.figures import panels
from zoo.paper.lab import Lab
from zoo.paper.outcome import (
    MARGIN,
    Claim,
    Estimate,
    Outcome,
    Rows,
    column,
    compare_pairs,
    judge,
    mean_and_error,
)
from zoo.paper.pictures import (
    Pictures,
    bars,
    legend_below,
    reconstructions_picture,
    samples_picture,
)
from zoo.records import INTERVAL

_CAPTION = (
    "KL(q(z)||p(z)) by Monte Carlo over training and validation set, nats: mean and standard error "
    "over seeds; the floor average KL - log N in red, the interval of the population's in green."
)
_NOT_BELOW = (
    "the RealNVP posterior's marginal KL is not below the Gaussian's, here by less than a tenth"
)
_POSTERIORS = {"gaussian": {}, "real_nvp": {"posterior": "real_nvp"}}


def posteriors(lab: Lab) -> Outcome:
    """VAEs with Gaussian and RealNVP posteriors (Figure 1)."""
    rows = _marginal_kl(lab, _POSTERIORS, lab.scale.seeds)
    means = " against ".join(str(_over_seeds(rows, v, "marginal_kl")) for v in _POSTERIORS)
    numbers = f"{means} nats, {_limits(rows, _POSTERIORS)}"
    claim = _not_below(_NOT_BELOW, _ratios(rows), numbers)
    return Outcome([claim], {"marginal_kl": rows}, {"marginal_kl": (_CAPTION, _bars(rows))})


def posterior_sizes(lab: Lab) -> Outcome:
    """VAEs with both posteriors by latent size, width and length of training."""
    scale = lab.scale
    repeated = [(sizes, scale.seeds) for sizes in scale.posterior_pairs]
    single = [(sizes, scale.seeds[:1]) for sizes in scale.long_posterior_pairs]
    groups = [
        _marginal_kl(lab, _POSTERIORS, seeds, **sizes) for sizes, seeds in (*repeated, *single)
    ]
    # The data set's own latent size may be the largest.
    groups.sort(key=lambda rows: tuple(rows[0][size] for size in ("steps", "width", "latent_size")))
    ratios = [ratio for rows in groups for ratio in _ratios(rows)]
    claim = _not_below(
        f"{_NOT_BELOW}, whatever the latent size{' and the length of training' if single else ''}",
        ratios,
        f"{len(ratios)} pairs of {len(groups)} sizes",
    )
    figure, axes = panels(len(groups))
    for axis, rows in zip(axes, groups, strict=True):
        _draw(axis, rows)
        axis.set_title("{latent_size} latents, width {width}, {steps:,} steps".format(**rows[0]))
    legend_below(axes[0])
    caption = f"{_CAPTION} No bar of error: one run." if single else _CAPTION
    table = [row for rows in groups for row in rows]
    return Outcome([claim], {"marginal_kl": table}, {"marginal_kl": (caption, figure)})


def likelihoods(lab: Lab) -> Outcome:
    """VAEs with Bernoulli and QuantizedNormal likelihoods (Figure 22)."""
    variants = {"bernoulli": {}, "quantized_normal": {"likelihood": "quantized_normal"}}
    rows = _marginal_kl(lab, variants, lab.scale.seeds)
    pictures: Pictures = {"marginal_kl": (_CAPTION, _bars(rows))}
    for name, settings in variants.items():
        run = lab.train("vae", seed=lab.scale.seeds[0], **settings)
        pictures |= samples_picture(lab, run, name) | reconstructions_picture(lab, run, name)
    bernoulli, quantized_normal = (column(rows, "marginal_kl", variant=name) for name in variants)
    claim = compare_pairs(
        "QuantizedNormal has the larger marginal KL (paper, CIFAR-10: 44.7 against 256.7 nats)",
        bernoulli,
        quantized_normal,
        f"nats, {_limits(rows, variants)}",
    )
    return Outcome([claim], {"marginal_kl": rows}, pictures)


def _marginal_kl(
    lab: Lab, variants: Mapping[str, Mapping[str, Any]], seeds: Sequence[int], **sizes: Any
) -> Rows:
    """One row per variant and seed."""
    rows = []
    for name, settings in variants.items():
        for seed in seeds:
            run = lab.train("vae", seed=seed, **settings, **sizes)
            about = {
                "latent_size": run.config.model.latent_size,
                "width": run.config.model.width,
                "steps": run.config.training.steps,
            }
            values = lab.measure(run, "population_kl", "marginal_kl", "elbo")
            rows.append({"variant": name, "seed": seed, **about, **values})
    return rows


def _ratios(rows: Rows) -> list[float]:
    """The RealNVP's marginal KL over the Gaussian's, per seed; undefined where the Gaussian's codes
    are the prior's."""
    gaussian, real_nvp = (column(rows, "marginal_kl", variant=name) for name in _POSTERIORS)
    return [high / (low or math.nan) for low, high in zip(gaussian, real_nvp, strict=True)]


def _over_seeds(rows: Rows, variant: str, metric: str) -> Estimate:
    return mean_and_error(column(rows, metric, variant=variant))


def _interval(rows: Rows, variant: str) -> tuple[float, float]:
    lower, upper = (_over_seeds(rows, variant, name).value for name in INTERVAL)
    return lower, upper


def _not_below(statement: str, ratios: Sequence[float], numbers: str) -> Claim:
    """That no ratio of marginal KLs lies below one by `MARGIN`, in the mean."""
    above = mean_and_error([ratio - (1 - MARGIN) for ratio in ratios])
    numbers += f"; the second over the first {mean_and_error(ratios)}"
    return judge(statement, above, numbers)


def _limits(rows: Rows, variants: Iterable[str]) -> str:
    """What the variants' marginal KLs stand between."""
    floors = (f"{_over_seeds(rows, v, 'marginal_kl_floor').value:.4g}" for v in variants)
    ends = ("{:.4g} to {:.4g}".format(*_interval(rows, v)) for v in variants)
    return f"over floors of {' and '.join(floors)}; of the population {' and '.join(ends)}"


def _bars(rows: Rows) -> Figure:
    figure, (axis,) = panels(1)
    _draw(axis, rows)
    legend_below(axis)
    return figure


def _draw(axis: Any, rows: Rows) -> None:
    """A bar per variant."""
    variants = list(dict.fromkeys(row["variant"] for row in rows))
    values = {v: _over_seeds(rows, v, "marginal_kl") for v in variants}
    floors = {v: _over_seeds(rows, v, "marginal_kl_floor").value for v in variants}
    bars(axis, values, floors, {v: _interval(rows, v) for v in variants})
