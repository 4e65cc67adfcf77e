"""p(x|z) of a subject, from what its `decode` gives.

An explicit decoder has a likelihood of its own. An implicit one has none, and is measured with
N(decode(z), stddev^2 I) on pixels in [0, 1] (Wu et al. 2017): then `stddev` is a parameter of the
evaluation, stated with each number, and numbers of different likelihoods do not compare.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from zoo.data.images import ImageDataset
from zoo.distributions.likelihoods import Likelihood
from zoo.errors import UsageError
from zoo.evaluation.subject.subject import Subject
from zoo.options import Option
from zoo.pixels import as_floats
from zoo.registry import LIKELIHOODS, follow

Decoded = Mapping[str, tf.Tensor]

OBSERVATION_STDDEV = Option(
    "observation_stddev",
    None,
    "S of p(x|z) = N(decode(z), S^2 I) on pixels in [0, 1]; by default an explicit decoder has its "
    "own likelihood, and ais chooses S for others on validation images.",
    kind="float",
    above=0,
)

_PIXEL_AXES = (1, 2, 3)
_PROBED = 8  # images on which decode is held against elbo, chosen
_TOLERANCE = 1e-4  # relative, chosen: of float32 sums, and logits beyond what a mean tells


class Observation(Protocol):
    """A likelihood as a function of the outputs of `decode`.

    Attributes:
        details: what a record says of it.
        words: what a definition says.
    """

    details: dict[str, Any]
    words: str

    def log_prob(self, decoded: Decoded, images: tf.Tensor) -> tf.Tensor:
        """log p(x|z) `[M]` of images `[M, H, W, C]`, nats; differentiable in `decoded`."""

    def draw(self, decoded: Decoded, seed: int) -> np.ndarray:
        """x ~ p(x|z), float32 `[M, H, W, C]`."""


class OwnLikelihood:
    """That of an explicit decoder.

    Args:
        likelihood: whose `sufficient` parameters `decode` gives.
    """

    def __init__(self, likelihood: Likelihood):
        self._likelihood, self.name = likelihood, likelihood.name
        self.details = {"observation": likelihood.name}
        self.words = f"p(x|z) the decoder's own ({likelihood.name})"

    def log_prob(self, decoded: Decoded, images: tf.Tensor) -> tf.Tensor:
        """See `Observation`."""
        return self._likelihood.log_prob(self._likelihood.outputs(decoded), images)

    def draw(self, decoded: Decoded, seed: int) -> np.ndarray:
        """See `Observation`."""
        law = self._likelihood.distribution(self._likelihood.outputs(decoded))
        return law.sample(seed=tf.constant([seed, 1])).numpy()


class GaussianObservation:
    """N(images, stddev^2 I) about the images that `decode` gives.

    Args:
        stddev: in units of the range [0, 1].
    """

    def __init__(self, stddev: float):
        self.stddev = stddev
        self.details = {"observation": "gaussian", "observation_stddev": stddev}
        self.words = f"p(x|z) = N(decode(z), {stddev:g}^2 I) on pixels in [0, 1]"

    def log_prob(self, decoded: Decoded, images: tf.Tensor) -> tf.Tensor:
        """See `Observation`."""
        constant = 0.5 * math.log(2 * math.pi * self.stddev**2) * math.prod(images.shape[1:])
        return -squared_error(decoded, images) / (2 * self.stddev**2) - constant

    def draw(self, decoded: Decoded, seed: int) -> np.ndarray:
        """See `Observation`; what lies outside [0, 1] is left there."""
        noise = np.random.default_rng(seed).standard_normal(decoded["images"].shape)
        return (decoded["images"] + self.stddev * noise).numpy().astype(np.float32)


def squared_error(decoded: Decoded, images: tf.Tensor) -> tf.Tensor:
    """||x - decode(z)||^2 `[M]`."""
    return tf.reduce_sum(tf.square(images - decoded["images"]), axis=_PIXEL_AXES)


def observation_of(
    subject: Subject, dataset: ImageDataset, stddev: float | None
) -> Observation | None:
    """N(decode(z), stddev^2 I) where `stddev` is given, else an explicit decoder's own likelihood;
    None where there is none, or none that is known.

    Raises:
        UsageError: there is one, and `decode` does not tell it, or `elbo` tells another.
    """
    if stddev is not None:
        return GaussianObservation(stddev)
    if subject.likelihood not in LIKELIHOODS:
        return None
    likelihood = follow(LIKELIHOODS[subject.likelihood])()
    if not likelihood.sufficient:
        told = [name for name, path in LIKELIHOODS.items() if follow(path).sufficient]
        raise UsageError(
            f"{subject.name}: what its decode gives does not tell p(x|z) of "
            f"likelihood={likelihood.name}: expected one of {', '.join(told)}, or "
            "observation_stddev=S for N(decode(z), S^2 I) in its place"
        )
    if not subject.gives("decode", *likelihood.sufficient):
        given = ", ".join(subject.functions["decode"].structured_outputs)
        raise UsageError(
            f"{subject.name}: its decode gives {given}; expected "
            f"{' and '.join(likelihood.sufficient)} of likelihood={likelihood.name}: an export of "
            "before has to be made again"
        )
    own = OwnLikelihood(likelihood)
    _check_against_elbo(subject, own, next(iter(dataset.splits.values())).images[:_PROBED])
    return own


def _check_against_elbo(subject: Subject, own: OwnLikelihood, images: np.ndarray) -> None:
    """Raises `UsageError` where `elbo`, if there is one, has another log p(x|z) at the draw that it
    shares with `sample_posterior`."""
    if not {"elbo", "sample_posterior"} <= set(subject.functions):
        return
    expected = subject.all("elbo", images=images, seed=0)["log_likelihood"]
    z = subject.all("sample_posterior", images=images, seed=0)["z"]
    decoded = {name: tf.constant(value) for name, value in subject.all("decode", z=z).items()}
    found = own.log_prob(decoded, tf.constant(as_floats(images))).numpy()
    if not np.allclose(found, expected, rtol=_TOLERANCE, atol=_TOLERANCE):
        worst = np.argmax(np.abs(found - expected))
        raise UsageError(
            f"{subject.name}: log p(x|z) is {found[worst]:g} by its decode and {expected[worst]:g} "
            f"by its elbo; expected the same, nats: is its likelihood {own.name}?"
        )
