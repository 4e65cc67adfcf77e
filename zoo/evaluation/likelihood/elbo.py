"""The evidence lower bound (Rosca et al. 2018, eq. 3) and its parts."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

from zoo.config import EvaluationConfig
from zoo.data.images import ImageDataset
from zoo.distributions.likelihoods import bits_per_dim
from zoo.errors import UsageError
from zoo.evaluation.protocol import Metric, Picture, mean_record
from zoo.evaluation.subject.subject import Subject
from zoo.figures import histogram, panels
from zoo.records import Record
from zoo.registry import LIKELIHOODS, follow

BOUNDS = ("elbo", "elbo_ratio_estimate")  # of which the signature gives one

DEFINITIONS = {
    "elbo": "E_q(z|x) log p(x|z) - KL(q(z|x)||p(z)), one draw of z, nats per example",
    "elbo_ratio_estimate": "the ELBO with a classifier in the place of its KL, nats per example: "
    "not a bound",
    "log_likelihood": "E_q(z|x) log p(x|z), one draw of z, nats per example",
    "kl": "KL(q(z|x)||p(z)), nats per example",
}


def bits_record(
    name: str, bound: np.ndarray, subject: Subject, split: str, what: str
) -> Iterator[Record]:
    """The record of a bound of log p(x) `[N]`, nats, in bits per pixel and channel; none where the
    likelihood is no law of grey levels, or not known to be one."""
    if subject.likelihood not in LIKELIHOODS:
        return
    likelihood = follow(LIKELIHOODS[subject.likelihood])
    if likelihood.discrete:
        bits = bits_per_dim(bound, math.prod(subject.image_shape))
        definition = f"-{what} in bits per pixel and channel, an upper bound; less is better"
        yield mean_record(name, bits, split, definition, likelihood=likelihood.name)


class Elbo(Metric):
    """ELBO, log-likelihood and KL of a split, one draw of z per example."""

    name = "elbo"
    higher_is_better = ("elbo", "elbo_ratio_estimate", "log_likelihood")
    lower_is_better = ("bits_per_dim",)
    needs = ("elbo",)
    uses = ("split", "num_samples", "seed")
    revision = 2

    def check(self, subject: Subject, dataset: ImageDataset, settings: EvaluationConfig) -> None:
        """As every metric's."""
        super().check(subject, dataset, settings)
        dataset.split(settings.split)
        if not any(subject.gives("elbo", bound) for bound in BOUNDS):
            given = ", ".join(subject.functions["elbo"].structured_outputs)
            raise UsageError(
                f"{subject.name}: its elbo gives {given}; expected {' or '.join(BOUNDS)}"
            )

    def measure(
        self, subject: Subject, dataset: ImageDataset, settings: EvaluationConfig
    ) -> Iterator[Record | Picture]:
        """Yields one record for each output of the signature, and bits per dimension where they
        are defined."""
        images = self.examples(dataset, settings).images
        parts = []
        with tqdm(desc="ELBO", unit=" images", total=len(images), delay=2) as bar:
            for batch in subject.batches("elbo", seed=settings.seed, images=images):
                parts.append({name: batch[name] for name in DEFINITIONS if name in batch})
                bar.update(len(next(iter(batch.values()))))
        outputs = {
            name: np.concatenate([part[name] for part in parts]).astype(np.float64)
            for name in parts[0]
        }
        for name, values in outputs.items():
            yield mean_record(
                name,
                values,
                settings.split,
                DEFINITIONS[name],
                bound_status=subject.bound_status,
            )
        if "elbo" in outputs:
            yield from bits_record("bits_per_dim", outputs["elbo"], subject, settings.split, "ELBO")
        yield Picture(
            "histogram",
            f"The {len(images)} {settings.split} images by bound, log-likelihood and KL, nats per "
            "example; the outermost bins hold what lies beyond.",
            _histograms(outputs),
        )


def _histograms(outputs: dict[str, np.ndarray]) -> Figure:
    figure, axes = panels(len(outputs), 3, (3.2, 2.4))
    for axis, (name, values) in zip(axes, outputs.items(), strict=True):
        histogram(axis, {name: values}, f"{name}, nats")
    return figure
