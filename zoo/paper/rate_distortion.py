"""Rate-distortion curves of all decoders on one axis, and where their own encoders stand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from zoo.evaluation.gaussians import gaussian_kl
from zoo.evaluation.likelihood.rate_distortion import (
    RateDistortion,
    log_uniform_schedule,
    rate_distortion,
)
from zoo.evaluation.likelihood.start import has_gaussian_posterior
from zoo.evaluation.subject.subject import Subject
from zoo.figures import panels
from zoo.paper.grids import paper_models
from zoo.paper.lab import Lab
from zoo.paper.outcome import Claim, Outcome, Rows, compare_pairs
from zoo.pixels import as_floats

MOST_B = 50.0  # a standard deviation of 0.1 on pixels in [0, 1]; chosen
SNAPSHOTS = 10  # on each curve, chosen
AVERAGED = 20  # further moves at each of them, chosen
_CAPTION = (
    "Rate in nats over squared error of an image's pixels in [0, 1], of the decoders by "
    "annealed chains on {n} test images, an upper bound; stars: the models' own Gaussian encoders. "
    "A decoder whose curve lies below another's is the better one at that distortion."
)
_UNIT = "nats per example, R + b D at b = {b:.3g} on {n} test images"

OwnPoint = tuple[np.ndarray, np.ndarray]  # rate and distortion [N] of a model's encoder


def rate_distortion_curves(lab: Lab) -> Outcome:
    """The curve of every model of the paper, implicit decoders too, from one annealed chain each,
    and the encoders' own points (after Huang et al. 2020)."""
    curves: dict[str, RateDistortion] = {}
    points: dict[str, OwnPoint] = {}
    seed = lab.scale.seeds[0]
    for model in paper_models():
        run = lab.train(model, seed=seed)
        subject = lab.subject(run.path)
        images = run.dataset.split("test").some(lab.scale.chain_images).images
        curves[model] = _curve(lab, model, subject, images, seed)
        point = own_point(subject, images, seed)
        if point is not None:
            points[model] = point
    rows: Rows = [
        {"model": model, **row} for model, curve in curves.items() for row in _curve_rows(curve)
    ]
    encoders: Rows = [
        {"model": model, "rate": float(rate.mean()), "distortion": float(distortion.mean())}
        for model, (rate, distortion) in points.items()
    ]
    caption = _CAPTION.format(n=lab.scale.chain_images)
    return Outcome(
        list(_claims(curves, points)),
        {"curves": rows, "encoders": encoders},
        {"curves": (caption, _figure(curves, points))},
    )


def _curve(lab: Lab, model: str, subject: Subject, images: np.ndarray, seed: int) -> RateDistortion:
    steps = lab.scale.chain_steps

    def find() -> dict[str, list[Any]]:
        schedule = log_uniform_schedule(MOST_B, steps)
        curve = rate_distortion(subject, images, schedule, SNAPSHOTS, averaged=AVERAGED, seed=seed)
        return {name: values.tolist() for name, values in vars(curve).items()}

    settings = {"model": model, "images": len(images), "steps": steps, "seed": seed}
    found = lab.once("rate_distortion", find, **settings)
    return RateDistortion(**{name: np.array(values) for name, values in found.items()})


def own_point(subject: Subject, images: np.ndarray, seed: int) -> OwnPoint | None:
    """KL(q(z|x)||p(z)) and ||x - decode(z)||^2, one draw z, of images `[N, H, W, C]`; None where
    q(z|x) is no Gaussian, or the prior not N(0, I)."""
    if not (has_gaussian_posterior(subject) and subject.has_standard_prior):
        return None
    encoded = subject.all("encode", images=images)
    noise = np.random.default_rng(seed).standard_normal(encoded["mean"].shape)
    z = (encoded["mean"] + encoded["stddev"] * noise).astype(np.float32)
    errors = as_floats(images) - subject.all("decode", z=z)["images"]
    distortion = np.square(errors, dtype=np.float64).sum(axis=(1, 2, 3))
    return gaussian_kl(encoded["mean"], encoded["stddev"]), distortion


def _curve_rows(curve: RateDistortion) -> Iterator[dict[str, float]]:
    """One per slope; `slope` is that of the line from the row before, between the two -b."""
    before: tuple[float, float] | None = None
    for i, b in enumerate(curve.b):
        rate, distortion = (float(v[i].mean()) for v in (curve.rate, curve.distortion))
        row = {"b": float(b), "rate": rate, "distortion": distortion}
        if before is not None and distortion != before[1]:
            row["slope"] = (rate - before[0]) / (distortion - before[1])
        before = rate, distortion
        yield row


def _claims(curves: dict[str, RateDistortion], points: dict[str, OwnPoint]) -> Iterator[Claim]:
    """Of the VAE's decoder against each other, where distortion costs most, and of each encoder
    against the curve of its own decoder, where it comes closest."""
    vae = curves["vae"]
    for model, curve in curves.items():
        if model != "vae":
            unit = _UNIT.format(b=vae.b[-1], n=vae.log_z.shape[1])
            statement = f"the VAE's decoder needs fewer nats than that of {model}"
            yield compare_pairs(
                statement, (-vae.log_z[-1]).tolist(), (-curve.log_z[-1]).tolist(), unit, least=0.0
            )
    for model, (rate, distortion) in points.items():
        curve = curves[model]
        own = rate + curve.b[:, None] * distortion
        closest = int((own + curve.log_z).mean(axis=1).argmin())
        unit = _UNIT.format(b=curve.b[closest], n=len(rate))
        statement = f"the encoder of {model} lies above the curve of its own decoder"
        yield compare_pairs(
            statement, (-curve.log_z[closest]).tolist(), own[closest].tolist(), unit, least=0.0
        )


def _figure(curves: dict[str, RateDistortion], points: dict[str, OwnPoint]) -> Figure:
    figure, (axis,) = panels(1, 1, (7, 4.5))
    for model, curve in curves.items():
        (line,) = axis.plot(
            curve.distortion.mean(axis=1), curve.rate.mean(axis=1), ".-", label=model, linewidth=1.2
        )
        if model in points:
            rate, distortion = (values.mean() for values in points[model])
            axis.plot(distortion, rate, "*", color=line.get_color(), markersize=12)
    axis.set(xlabel="distortion: squared error of an image", ylabel="rate, nats", xscale="log")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    return figure
