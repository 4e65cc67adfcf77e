"""Samples where the posterior has no mass (Rosca et al. 2018, Algorithm 1 [D], Figures 2, 3, 10 to
14)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from zoo.config import EvaluationConfig
from zoo.data.images import ImageDataset
from zoo.errors import UsageError
from zoo.evaluation.gaussians import check_matrix, log_normal
from zoo.evaluation.latent.aggregate_posterior import log_aggregate
from zoo.evaluation.likelihood.elbo import BOUNDS
from zoo.evaluation.protocol import Metric, Picture, mean_record
from zoo.evaluation.samples.neighbours import nearest_neighbours
from zoo.evaluation.subject.encodings import ENCODED_SPLITS, check_encodings, encode_dataset
from zoo.evaluation.subject.subject import Subject
from zoo.figures import histogram, panels, show_pixels
from zoo.options import Option
from zoo.pictures import grid
from zoo.pixels import as_floats
from zoo.records import Record

PRIOR_SAMPLES = 100_000  # K, chosen
LOWEST = 1000  # m of the records and histograms, chosen
LARGEST_SHARE = 10  # of K at least ten for each of m, chosen: among all samples none is lowest
SHOWN = 64  # of the pictures, chosen
CANDIDATES = 20_000  # among which as bright ones are sought, chosen

_AS_BRIGHT = (
    "of prior samples as bright as those of the lowest (root mean square of pixels), each once"
)
_RANK = {"log_q": "log q(z)", "log_q_minus_log_p": "log q(z) - log p(z)"}


class _Group(NamedTuple):
    """Images that are compared."""

    suffix: str  # of the record's name
    title: str
    images: np.ndarray  # [M, H, W, C], uint8 or in [0, 1]
    split: str | None


def least_likely(
    z: np.ndarray,
    log_q: np.ndarray,
    count: int,
    score: str = "log_q",
    log_prior: Callable[[np.ndarray], np.ndarray] = log_normal,
) -> np.ndarray:
    """Indices [count] of the samples least likely under q(z), lowest first (Algorithm 1 [D]).

    Args:
        z: [K, D], samples of the prior.
        log_q: [K], their `log_aggregate_posterior`, nats.
        count: how many to take.
        score: `log_q` ranks by q(z), as the paper's text does; `log_q_minus_log_p` by q(z)/p(z).
        log_prior: log p of codes `[K, D]`: `[K]`, nats; that of N(0, I) by default.

    Raises:
        UsageError: `count` is not in 1..K, `score` is unknown, or shapes or values do not fit.
    """
    z, log_q = check_matrix("z", z), np.asarray(log_q, np.float64)
    if log_q.shape != (len(z),) or np.isnan(log_q).any():
        raise UsageError(f"log_q has shape {log_q.shape} or NaN: expected numbers, ({len(z)},)")
    if not 1 <= count <= len(z):
        raise UsageError(f"count={count} is not accepted: expected 1 to {len(z)}, the samples")
    if score == "log_q_minus_log_p":
        log_q = log_q - log_prior(z)
    elif score != "log_q":
        raise UsageError(f"score={score!r} is not accepted: expected log_q or log_q_minus_log_p")
    return np.argsort(log_q, kind="stable")[:count]


def as_bright(wanted: np.ndarray, brightness: np.ndarray) -> np.ndarray:
    """For each of `wanted` [M] the index [M] of the nearest `brightness` [N], N >= M, none twice:
    the brightest choose first, as there are fewest of their kind."""
    free, chosen = np.ones(len(brightness), bool), np.empty(len(wanted), np.int64)
    for i in np.argsort(-wanted, kind="stable"):
        chosen[i] = np.where(free, np.abs(brightness - wanted[i]), np.inf).argmin()
        free[chosen[i]] = False
    return chosen


class LowPosterior(Metric):
    """What the decoder makes of the prior where q(z) is lowest (Algorithm 1)."""

    name = "low_posterior"
    revision = 5
    needs = ("encode", "decode")
    uses = ("split", "num_samples", "seed")
    options = (
        Option(
            "score",
            "log_q",
            "Rank samples of the prior by q(z) or by q(z)/p(z).",
            choices=("log_q", "log_q_minus_log_p"),
        ),
    )

    def check(self, subject: Subject, dataset: ImageDataset, settings: EvaluationConfig) -> None:
        """As every metric's; q(z) has to have a density, and the prior draws."""
        super().check(subject, dataset, settings)
        subject.check_prior()
        check_encodings(subject, dataset)
        dataset.split(settings.split)
        if settings.count(PRIOR_SAMPLES) < 2 * LARGEST_SHARE:
            raise UsageError(
                f"num_samples={settings.num_samples} is too few for low_posterior: expected at "
                f"least {2 * LARGEST_SHARE}, of which it shows the lowest tenth"
            )

    def measure(
        self, subject: Subject, dataset: ImageDataset, settings: EvaluationConfig
    ) -> Iterator[Record | Picture]:
        """Yields log q(z), the distance to the nearest training images, and, where there is an
        `elbo`, the bound and KL of data, low-posterior samples and those neighbours."""
        encodings = encode_dataset(subject, dataset, cache=subject.cache)
        samples = settings.count(PRIOR_SAMPLES)
        z = subject.prior_sampler(encodings.mean.shape[1], settings.seed)(samples)
        log_q = log_aggregate(subject, encodings, z, progress=True)
        count = min(LOWEST, samples // LARGEST_SHARE)
        lowest = least_likely(z, log_q, count, settings.score, subject.log_prior)

        details = {"score": settings.score, "samples": samples, "examples": len(encodings.mean)}
        rank = f"of the {count} of {samples} prior samples with the lowest {_RANK[settings.score]}"
        what = f"mean log q(z) of the aggregate posterior of {'+'.join(ENCODED_SPLITS)}, nats,"
        prior_what = f"{what} of all prior samples"
        yield mean_record("low_posterior_log_q_prior", log_q, None, prior_what, **details)
        yield _of_lowest("low_posterior_log_q", log_q[lowest], None, f"{what} {rank}", details)

        images, ordinary = (_decode(subject, z[index]) for index in (lowest, slice(count)))
        train = dataset.split("train").images
        index, distance = nearest_neighbours(images, train)
        what = "distance to the nearest training image, root mean square over pixels in [0, 1],"
        others = np.setdiff1d(np.arange(samples), lowest)[:CANDIDATES]
        alike, brightness = _as_bright(subject, z[others], images)
        for name, values, of, more in (
            ("_prior", nearest_neighbours(ordinary, train)[1], f"of {count} prior samples", {}),
            ("_as_bright", nearest_neighbours(alike, train)[1], _AS_BRIGHT, brightness),
        ):
            metric = f"low_posterior_distance{name}"
            yield mean_record(metric, values, "train", f"{what} {of}", **details, **more)
        metric = "low_posterior_distance"
        yield _of_lowest(metric, distance, "train", f"{what} {rank}", details)
        yield Picture("samples", *_grids(images, train[index], ordinary, settings.score))

        if "elbo" in subject.functions:
            split = dataset.split(settings.split).some(count).images
            groups = (
                _Group("_data", f"{settings.split} images", split, settings.split),
                _Group("", "low-posterior samples", images, None),
                _Group("_neighbours", "their training neighbours", train[index], "train"),
            )
            yield from _bounds(subject, groups, rank, settings.seed, details)


def tail_error(values: np.ndarray, samples: int) -> float:
    """The standard error of the mean of `values` [m] of the lowest m of so many samples.

    Which samples these are is chance as well. So beside the spread of the values it has that of
    the threshold between them and the rest, where a value is as the last ones are:

        ((1 - m / samples) (mean - value at the threshold)^2 + variance) / m

    Args:
        values: those of the lowest sample first.
        samples: how many there were.
    """
    count = len(values)
    last = values[-max(1, round(count**0.5)) :].mean()
    between = (1 - count / samples) * (values.mean() - last) ** 2
    return float(np.sqrt((values.var(ddof=1) + between) / count))


def _of_lowest(
    metric: str, values: np.ndarray, split: str | None, definition: str, details: dict[str, Any]
) -> Record:
    """The mean of what the lowest samples have, lowest first."""
    record = mean_record(metric, values, split, definition, **details)
    return dataclasses.replace(record, standard_error=tail_error(values, details["samples"]))


def _decode(subject: Subject, z: np.ndarray) -> np.ndarray:
    """Decoder means [M, H, W, C], fit to be encoded again."""
    return np.concatenate(list(_decoded(subject, z)))


def _decoded(subject: Subject, z: np.ndarray) -> Iterator[np.ndarray]:
    """The same in batches."""
    for batch in subject.batches("decode", z=z):
        images = batch["images"]
        if images.min() < -1e-3 or images.max() > 1 + 1e-3:
            raise UsageError(
                f"{subject.name}: its decode gives images from {images.min():g} to "
                f"{images.max():g}: expected 0 to 1"
            )
        yield np.clip(images, 0, 1)


def _as_bright(
    subject: Subject, z: np.ndarray, images: np.ndarray
) -> tuple[np.ndarray, dict[str, Any]]:
    """As many decoded samples [M, H, W, C] of the codes `z` [N, D] as there are `images`, as bright
    as these, and the mean brightness of both: a brighter image lies further from everything."""
    found = np.concatenate([_brightness(batch) for batch in _decoded(subject, z)])
    wanted = _brightness(images)
    index = as_bright(wanted, found)
    means = {"brightness_of_lowest": wanted.mean(), "brightness": found[index].mean()}
    return _decode(subject, z[index]), {name: float(value) for name, value in means.items()}


def _brightness(images: np.ndarray) -> np.ndarray:
    """Root mean square of the pixels of each of `images`, [M]."""
    return np.sqrt(np.square(images, dtype=np.float64).mean(axis=(1, 2, 3)))


def _grids(
    images: np.ndarray, neighbours: np.ndarray, ordinary: np.ndarray, score: str
) -> tuple[str, Any]:
    figure, axes = panels(3, 3, (4.2, 4.4))
    titles = "lowest " + _RANK[score], "their nearest training images", "ordinary prior samples"
    neighbours = as_floats(neighbours)
    for axis, title, group in zip(axes, titles, (images, neighbours, ordinary), strict=True):
        show_pixels(axis, grid(group[:SHOWN]), title)
    caption = (
        f"Decoder means of the prior samples with the lowest {_RANK[score]}, lowest first; in the "
        "same places the nearest training images by L2 distance of pixels; ordinary samples."
    )
    return caption, figure


def _bounds(
    subject: Subject,
    groups: tuple[_Group, ...],
    rank: str,
    seed: int,
    details: dict[str, Any],
) -> Iterator[Record | Picture]:
    """Bound and KL of each group of images, encoded anew."""
    outputs = [subject.all("elbo", seed=seed, images=group.images) for group in groups]
    names = [name for name in (*BOUNDS, "kl") if name in outputs[0]]
    figure, axes = panels(len(names), 2, (4.6, 2.8))
    for axis, name in zip(axes, names, strict=True):
        values = {g.title: o[name].astype(np.float64) for g, o in zip(groups, outputs, strict=True)}
        for group in groups:
            what = f"{name} of the {group.title}, encoded anew, nats"
            definition = what if group.suffix == "_data" else f"{what}: {rank}"
            metric, found = f"low_posterior_{name}{group.suffix}", values[group.title]
            if group.suffix == "_data":
                yield mean_record(metric, found, group.split, definition, **details)
            else:
                yield _of_lowest(metric, found, group.split, definition, details)
        histogram(axis, values, f"{name}, nats per example")
    caption = f"Densities of {' and '.join(names)} of images, low-posterior samples and neighbours."
    yield Picture("likelihoods", caption, figure)
