"""The importance-weighted bound of log p(x) (Burda et al. 2016 [C]).

    IWAE_k = E log 1/k sum_j w_j,    log w_j = log p(x|z_j) + log p(z_j) - log q(z_j|x),
    z_j ~ q(z|x)

is the ELBO at k = 1, never falls with k, and tends to log p(x).

The signatures give it without access to the model. Equal seeds give `elbo` and `sample_posterior`
the same draw. Where the KL of `elbo` is that of the draw, log q - log p, it varies with the seed,
and the `elbo` of one draw is log w. Where it is the closed form, which no seed changes, its
log_likelihood is still that of the draw, and `mean` and `stddev` of `encode` give the density of
the z that `sample_posterior` gives.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
from tqdm import tqdm

from zoo.config import EvaluationConfig
from zoo.data.images import ImageDataset
from zoo.errors import UsageError
from zoo.evaluation.gaussians import gaussian_kl, log_normal
from zoo.evaluation.likelihood.elbo import bits_record
from zoo.evaluation.protocol import Metric, mean_record
from zoo.evaluation.subject.subject import Subject
from zoo.options import Option
from zoo.records import Record

DEFAULT_DRAWS = 50  # chosen
PROBED = 8  # images that tell how the KL is made, chosen

_KL_TOLERANCE = 1e-3  # relative, chosen: float32 sums over many dimensions, on another machine


def iwae_bound(log_weights: Iterable[np.ndarray]) -> np.ndarray:
    """log 1/k sum_j w_j of each of N examples: float64 `[N]`, nats.

    Args:
        log_weights: k arrays `[N]`, one per draw, of which none is kept.

    Raises:
        UsageError: there are none, or one holds NaN or plus infinity.
    """
    total, draws = None, 0
    for draws, weights in enumerate(log_weights, 1):  # noqa: B007  the last one counts them
        weights = np.asarray(weights, np.float64)
        if np.isnan(weights).any() or (weights == np.inf).any():
            raise UsageError("log_weights hold a value that is no weight: expected finite numbers")
        total = weights if total is None else np.logaddexp(total, weights)
    if total is None:
        raise UsageError("0 draws have no bound: expected at least 1")
    return total - math.log(draws)


def has_closed_form(subject: Subject, images: np.ndarray, seed: int) -> bool:
    """Whether the KL of `elbo` is a closed form: two draws for each of a few `images` tell.

    Raises:
        UsageError: something is missing without which a draw has no weight.
    """
    one, other = (
        subject.all("elbo", images=images, seed=seed, first_row=row) for row in (0, len(images))
    )
    if not {"elbo", "log_likelihood", "kl"} <= set(one):
        raise UsageError(
            f"{subject.name}: its elbo gives {', '.join(one)}; expected elbo, log_likelihood and "
            "kl, without which a draw has no weight"
        )
    closed_form = np.allclose(one["kl"], other["kl"], rtol=1e-6, atol=1e-6)
    if closed_form:
        subject.require("sample_posterior", "encode")
        _check_closed_form(subject, one["kl"], *_moments(subject, images))
    return closed_form


def log_weights(
    subject: Subject, images: np.ndarray, draws: int, seed: int
) -> Iterator[np.ndarray]:
    """log w of one draw per image `[N]`, nats, `draws` times; the first with the seeds that the
    metric `elbo` has. Errors as `has_closed_form`."""
    closed_form = has_closed_form(subject, images[:PROBED], seed)
    moments = _moments(subject, images) if closed_form else None
    for draw in tqdm(range(draws), desc="IWAE", unit=" draws", delay=2):
        rows = {"images": images, "seed": seed, "first_row": draw * len(images)}
        outputs = subject.all("elbo", **rows)
        if moments is None:
            yield outputs["elbo"].astype(np.float64)
        else:
            z = subject.all("sample_posterior", **rows)["z"]
            yield outputs["log_likelihood"] + subject.log_prior(z) - log_normal(z, *moments)


class Iwae(Metric):
    """The IWAE bound of a split."""

    name = "iwae"
    higher_is_better = ("iwae",)
    lower_is_better = ("iwae_bits_per_dim",)
    needs = ("elbo",)
    uses = ("split", "num_samples", "seed")
    revision = 2
    options = (Option("draws", None, "Draws of z per image; 50 by default.", kind="int", above=0),)

    def check(self, subject: Subject, dataset: ImageDataset, settings: EvaluationConfig) -> None:
        """As every metric's; a classifier's estimate is no bound and has no weights."""
        super().check(subject, dataset, settings)
        has_closed_form(subject, dataset.split(settings.split).images[:PROBED], settings.seed)

    def measure(
        self, subject: Subject, dataset: ImageDataset, settings: EvaluationConfig
    ) -> Iterator[Record]:
        """Yields the bound, and its bits per dimension where they are defined."""
        images = self.examples(dataset, settings).images
        draws = settings.draws or DEFAULT_DRAWS
        bound = iwae_bound(log_weights(subject, images, draws, settings.seed))
        definition = (
            f"E log 1/k sum_j p(x,z_j)/q(z_j|x), k = {draws} draws of q(z|x), nats per example; a "
            "lower bound of log p(x) that grows with k"
        )
        yield mean_record("iwae", bound, settings.split, definition, draws=draws)
        what = f"IWAE bound of {draws} draws"
        yield from bits_record("iwae_bits_per_dim", bound, subject, settings.split, what)


def _moments(subject: Subject, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    outputs = subject.all("encode", images=images)
    if not {"mean", "stddev"} <= set(outputs):
        raise UsageError(
            f"{subject.name}: the kl of its elbo does not depend on the draw, and its encode gives "
            f"{', '.join(outputs)}; expected mean and stddev, for the density of a draw"
        )
    return outputs["mean"], outputs["stddev"]


def _check_closed_form(
    subject: Subject, kl: np.ndarray, mean: np.ndarray, stddev: np.ndarray
) -> None:
    expected = gaussian_kl(mean, stddev)
    if not np.allclose(kl, expected, rtol=_KL_TOLERANCE, atol=_KL_TOLERANCE):
        worst = np.argmax(np.abs(kl - expected))
        raise UsageError(
            f"{subject.name}: the kl of its elbo is {kl[worst]:g} where mean and stddev of its "
            f"encode give {expected[worst]:g}; expected KL(N(mean, stddev^2)||N(0, I)), nats"
        )
