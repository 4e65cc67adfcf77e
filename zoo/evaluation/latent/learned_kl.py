"""KL(q(z)||p(z)) of a model's aggregate posterior by networks that are trained to tell it.

They need draws of q(z|x) only, hence measure implicit and deterministic posteriors too. (Of a
deterministic one q(z) is N points and its KL infinite: the values then tell of the smoothness of
the networks.) Where q(z|x) is a Gaussian, through a flow or not, Algorithm 2's value and its bounds
stand beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from zoo.config import EvaluationConfig
from zoo.data.images import ImageDataset
from zoo.evaluation.latent.marginal_kl import MarginalKL, check_samples, marginal_kl_records
from zoo.evaluation.protocol import Metric
from zoo.evaluation.subject.encodings import ENCODED_SPLITS
from zoo.evaluation.subject.subject import Subject
from zoo.records import Record

SPLIT = "+".join(ENCODED_SPLITS)  # of the records
DEFAULT_SAMPLES = 10_000  # chosen
VALUE_COLOR = "tab:blue"  # of the estimates in figures
_BOUNDS = ("average_kl", "marginal_kl_floor", "log_n")


class LearnedKLMetric(Metric):
    """What the two metrics have in common."""

    needs = ("sample_posterior",)
    uses = ("num_samples", "seed", "train_steps")

    def check(self, subject: Subject, dataset: ImageDataset, settings: EvaluationConfig) -> None:
        """As every metric's; the training and validation examples have to be at hand, and p(z)."""
        super().check(subject, dataset, settings)
        subject.check_prior()
        for split in ENCODED_SPLITS:
            dataset.split(split)
        check_samples(self.name, settings.count(DEFAULT_SAMPLES))


def beside(reference: MarginalKL | None) -> dict[str, float]:
    """Algorithm 2's value as a detail: the record of that name belongs to `marginal_kl`."""
    if reference is None:
        return {}
    return {
        "monte_carlo_kl": reference.value,
        "monte_carlo_kl_standard_error": reference.standard_error,
    }


def bounds(reference: MarginalKL | None) -> Iterator[Record]:
    """The records of Algorithm 2 that any estimate has to be read beside."""
    if reference is not None:
        yield from marginal_kl_records(reference, _BOUNDS)


def reference_lines(line: Callable[..., Any], reference: MarginalKL | None) -> None:
    """Algorithm 2 and its bounds, by `axhline` or `axvline` of an axis; none without a value."""
    if reference is None:
        return
    line(reference.value, color="tab:orange", label="Monte Carlo (Algorithm 2)")
    line(reference.average_kl, color="0.4", linestyle="--", label="average KL")
    line(reference.floor, color="0.4", linestyle=":", label="floor: average KL - log N")
