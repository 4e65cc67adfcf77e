"""The evidence lower bound (Rosca et al. 2018, eq. 3) and its parts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from zoo.evaluation.records import Metric, Record, Settings, mean_record
from zoo.evaluation.subjects import Subject

DEFINITIONS = {
    "elbo": "E_q(z|x) log p(x|z) - KL(q(z|x)||p(z)), one draw of z, nats per example",
    "elbo_ratio_estimate": "the ELBO with a classifier in the place of its KL, nats per example: "
    "not a bound",
    "log_likelihood": "E_q(z|x) log p(x|z), one draw of z, nats per example",
    "kl": "KL(q(z|x)||p(z)), nats per example",
}


class Elbo(Metric):
    """ELBO, log-likelihood and KL of a split, one draw of z per example."""

    name = "elbo"
    needs = ("elbo",)
    uses = ("split", "num_samples", "seed")

    def measure(self, subject: Subject, dataset: Any, settings: Settings) -> Iterator[Record]:
        """Yields one record for each output of the signature."""
        images = dataset.split(settings.split).images
        images = images[: settings.count(len(images), len(images))]
        outputs = subject.all("elbo", seed=settings.seed, images=images)
        for name, values in outputs.items():
            yield mean_record(
                name,
                values.astype(np.float64),
                settings.split,
                DEFINITIONS[name],
                bound_status=subject.bound_status,
            )
