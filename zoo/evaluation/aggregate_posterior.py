"""The match of the aggregate posterior q(z) with the prior, measured on a model."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from zoo.evaluation.encodings import SPLITS, Encodings, encode_dataset
from zoo.evaluation.marginal_kl import MarginalKL, marginal_kl_stream
from zoo.evaluation.records import Metric, Record, Settings
from zoo.evaluation.subjects import Subject

DEFAULT_SAMPLES = 10_000  # chosen; the paper's number is lost
_BLOCK = 4096

_DEFINITIONS = {
    "marginal_kl": "KL(q(z)||p(z)) of the aggregate posterior of the N encoded examples, by Monte "
    "Carlo over z ~ q(z) (Algorithm 2), nats",
    "average_kl": "mean over the N examples of KL(q(z|x)||p(z)), nats; never below marginal_kl",
    "mutual_information": "average_kl - marginal_kl, nats; at most log N in expectation",
    "marginal_kl_floor": "max(0, average_kl - log N), nats; marginal_kl is never less in "
    "expectation, however well the population matches the prior",
    "log_n": "log of the number N of encoded examples, nats",
}


def draw_aggregate(encodings: Encodings, count: int, seed: int) -> Iterator[np.ndarray]:
    """Blocks of draws z `[B, D]` of q(z), `count` in all: an example by chance, then its q(z|x)."""
    generator = np.random.default_rng(seed)
    for start in range(0, count, _BLOCK):
        chosen = generator.integers(len(encodings.mean), size=min(_BLOCK, count - start))
        noise = generator.standard_normal((len(chosen), encodings.mean.shape[1]))
        yield encodings.mean[chosen] + encodings.stddev[chosen] * noise


class MarginalKLMetric(Metric):
    """Algorithm 2, with all that the value has to be read beside."""

    name = "marginal_kl"
    needs = ("encode",)
    uses = ("num_samples", "seed")

    def measure(self, subject: Subject, dataset: Any, settings: Settings) -> Iterator[Record]:
        """Yields the marginal KL, average KL, mutual information, floor and log N."""
        encodings = encode_dataset(subject, dataset, cache=subject.cache)
        count = settings.count(DEFAULT_SAMPLES)
        result = marginal_kl_stream(
            draw_aggregate(encodings, count, settings.seed),
            encodings.mean,
            encodings.stddev,
            progress=count > DEFAULT_SAMPLES,
        )
        yield from marginal_kl_records(result, _DEFINITIONS)


def marginal_kl_records(result: MarginalKL, names: Iterable[str]) -> Iterator[Record]:
    """The records of Algorithm 2 that have these names, keys of `_DEFINITIONS`."""
    values = dataclasses.asdict(result)
    for name in names:
        over_samples = name in ("marginal_kl", "mutual_information")
        error = {
            "marginal_kl": result.standard_error,
            "average_kl": result.average_kl_standard_error,
        }.get(name)
        yield Record(
            name,
            values[{"marginal_kl": "value", "marginal_kl_floor": "floor"}.get(name, name)],
            error,
            result.m if over_samples else result.n,
            "+".join(SPLITS),
            _DEFINITIONS[name],
            {"samples": result.m, "examples": result.n},
        )
