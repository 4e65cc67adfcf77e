"""Samples where the posterior has no mass: Figures 2, 3 and 10 to 15."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn.manifold import TSNE

from zoo.evaluation.latent.aggregate_posterior import log_aggregate_posterior
from zoo.evaluation.latent.low_posterior import least_likely
from zoo.evaluation.samples.neighbours import nearest_neighbours
from zoo.evaluation.subject.encodings import encode_dataset
from zoo.figures import histogram, panels
from zoo.paper.lab import Lab
from zoo.paper.outcome import Claim, Estimate, Outcome, compare
from zoo.pixels import as_floats
from zoo.run import Run

CODES = 500  # of each group in the t-SNE and the histograms of pixels, chosen


def low_posterior(lab: Lab) -> Outcome:
    """Low-posterior samples, their neighbours, bounds, pixels and codes (Algorithm 1)."""
    run = lab.train("vae", seed=lab.scale.seeds[0])
    records, shown = lab.show(run, "low_posterior")
    rows = [
        {
            "metric": record.metric,
            "value": record.value,
            "standard_error": record.standard_error,
            "n": record.n,
        }
        for record in records.values()
    ]
    values = {n: Estimate(record.value, record.standard_error) for n, record in records.items()}
    details = records["low_posterior_distance_as_bright"].details
    brightness = [float(details[name]) for name in ("brightness", "brightness_of_lowest")]
    claims = _claims(lab.dataset, values, brightness)
    return Outcome(claims, {"records": rows}, {**shown, **_pictures(lab, run)})


def _claims(dataset: str, values: dict[str, Estimate], brightness: Sequence[float]) -> list[Claim]:
    statement = "the ELBO flags low-posterior samples, giving them less than data"
    lower, higher = values["low_posterior_elbo"], values["low_posterior_elbo_data"]
    if not dataset.startswith("color_mnist"):
        statement = "the ELBO prefers low-posterior samples to data"
        lower, higher = higher, lower
    # What of it is of images as these, and what of samples.
    neighbours = {n: f"{values[f'low_posterior_{n}_neighbours'].value:.4g}" for n in ("elbo", "kl")}
    return [
        compare(
            statement,
            lower,
            higher,
            f"nats per example; of their training neighbours {neighbours['elbo']}",
            least=0.0,
        ),
        compare(
            "low-posterior samples lie further from the training images than others as bright",
            values["low_posterior_distance_as_bright"],
            values["low_posterior_distance"],
            "(root mean square over pixels in [0, 1]; of their own pixels "
            f"{brightness[0]:.3g} and {brightness[1]:.3g})",
        ),
        compare(
            "the codes of low-posterior samples lie further from the prior than data's",
            values["low_posterior_kl_data"],
            values["low_posterior_kl"],
            "nats, KL(q(z|x)||p(z)) of the images encoded anew; of their training neighbours "
            f"{neighbours['kl']}",
        ),
    ]


def _pictures(lab: Lab, run: Run) -> dict[str, tuple[str, Any]]:
    """Those of pixels and codes, beside the metric's own."""
    subject, train = lab.subject(run.path), run.dataset.split("train")
    encodings = encode_dataset(subject, run.dataset, cache=subject.cache)
    z = subject.prior_sampler(encodings.mean.shape[1], 0)(lab.scale.samples)
    generator = np.random.default_rng(1)
    log_q = log_aggregate_posterior(z, encodings.mean, encodings.stddev)
    low = z[least_likely(z, log_q, min(CODES, len(z)))]
    images = subject.all("decode", z=low)["images"]
    index, _ = nearest_neighbours(images, train.images)
    pixels = {
        "data": as_floats(train.some(CODES).images),
        "low-posterior samples": images,
        "their neighbours": as_floats(train.images[index]),
    }
    figure, (axis,) = panels(1, size=(6.0, 3.4))
    histogram(axis, {name: group.ravel() for name, group in pixels.items()}, "pixel value")
    chosen = generator.integers(len(encodings.mean), size=CODES)
    noise = generator.standard_normal((CODES, z.shape[1]))
    posterior = encodings.mean[chosen] + encodings.stddev[chosen] * noise
    codes = {"prior": z[:CODES], "posterior": posterior, "low posterior": low}
    return {
        "pixels": ("Pixel values of data, low-posterior samples and their neighbours.", figure),
        "codes": ("Codes in two dimensions by t-SNE (PCA start, seed 0).", _tsne(codes)),
    }


def _tsne(codes: dict[str, np.ndarray]) -> Figure:
    joined = np.concatenate(list(codes.values()))
    perplexity = min(30.0, (len(joined) - 1) / 3)
    places = TSNE(init="pca", random_state=0, perplexity=perplexity).fit_transform(joined)
    figure, (axis,) = panels(1, size=(6.0, 5.0))
    start = 0
    for name, group in codes.items():
        axis.scatter(*places[start : start + len(group)].T, s=5, label=name)
        start += len(group)
    axis.legend()
    axis.set_xticks([])
    axis.set_yticks([])
    return figure
