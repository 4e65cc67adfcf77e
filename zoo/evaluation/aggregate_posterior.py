"""The match of the aggregate posterior q(z) with the prior, measured on a model."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from tqdm import tqdm

from zoo.config import EvaluationConfig
from zoo.errors import UsageError
from zoo.evaluation.encodings import (
    SPLITS,
    Encodings,
    check_encodings,
    encode_dataset,
    images_at,
)
from zoo.evaluation.marginal_kl import (
    FlowSamples,
    MarginalKL,
    log_aggregate_posterior,
    log_normal,
    marginal_kl_stream,
)
from zoo.evaluation.records import Metric, Picture, Record
from zoo.evaluation.subjects import Subject
from zoo.figures import panels

DEFAULT_SAMPLES = 10_000  # chosen; the paper's number is lost
_BLOCK = 4096

_CAPTION = (
    "KL(q(z)||p(z)) of the {n} encoded examples between its bounds, nats: in expectation it lies "
    "between the floor and the average KL, however well the population matches the prior."
)

_DEFINITIONS = {
    "marginal_kl": "KL(q(z)||p(z)) of the aggregate posterior of the N encoded examples, by Monte "
    "Carlo over z ~ q(z) (Algorithm 2), nats",
    "average_kl": "mean over the N examples of KL(q(z|x)||p(z)), nats; never below marginal_kl in "
    "expectation",
    "mutual_information": "average_kl - marginal_kl, nats; at most log N in expectation",
    "marginal_kl_floor": "max(0, average_kl - log N), nats; marginal_kl is never less in "
    "expectation, however well the population matches the prior",
    "log_n": "log of the number N of encoded examples, nats",
}


def draw_aggregate(encodings: Encodings, count: int, seed: int) -> Iterator[np.ndarray]:
    """Blocks of draws z `[B, D]` of q(z), `count` in all: an example by chance, then its q(z|x).

    Raises:
        UsageError: the codes are those of a flow, which has to be run to draw them: see
            `draw_through_flow`.
    """
    if encodings.flow:
        raise UsageError("the posterior is a flow: expected a Gaussian")
    for chosen, generator in _examples(encodings, count, seed):
        noise = generator.standard_normal((len(chosen), encodings.mean.shape[1]))
        yield encodings.mean[chosen] + encodings.stddev[chosen] * noise


def draw_through_flow(
    subject: Subject, dataset: Any, encodings: Encodings, count: int, seed: int
) -> Iterator[FlowSamples]:
    """`draw_aggregate` of a posterior with a flow, from `sample_posterior` and `to_base`."""
    drawn = len(encodings.mean)  # the rows before are those of `flow_kl`
    for chosen, _ in _examples(encodings, count, seed):
        yield _posterior_draws(subject, images_at(dataset, chosen), seed, drawn)
        drawn += len(chosen)


def flow_kl(subject: Subject, dataset: Any, encodings: Encodings, seed: int) -> np.ndarray:
    """Unbiased estimates log q(z|x_n) - log p(z) of the N conditional KLs, nats, from one draw z of
    each posterior."""
    kl = np.empty(len(encodings.mean))
    for start in tqdm(range(0, len(kl), _BLOCK), desc="average KL", unit_scale=_BLOCK, delay=2):
        rows = np.arange(start, min(start + _BLOCK, len(kl)))
        draw = _posterior_draws(subject, images_at(dataset, rows), seed, start)
        log_q = log_normal(draw.base, encodings.mean[rows], encodings.stddev[rows]) + draw.log_det
        kl[rows] = log_q - log_normal(draw.z)
    return kl


def log_aggregate(
    subject: Subject, encodings: Encodings, z: np.ndarray, progress: bool = False
) -> np.ndarray:
    """log q(z) `[M]` of codes `[M, D]`, nats, through the flow where there is one."""
    base, log_det = z, 0.0
    if encodings.flow:
        flow = subject.all("to_base", z=z)
        base, log_det = flow["base"], flow["log_det"]
    log_q = log_aggregate_posterior(base, encodings.mean, encodings.stddev, progress=progress)
    return log_q + log_det


def _examples(
    encodings: Encodings, count: int, seed: int
) -> Iterator[tuple[np.ndarray, np.random.Generator]]:
    generator = np.random.default_rng(seed)
    for start in range(0, count, _BLOCK):
        yield generator.integers(len(encodings.mean), size=min(_BLOCK, count - start)), generator


def _posterior_draws(
    subject: Subject, images: np.ndarray, seed: int, first_row: int
) -> FlowSamples:
    z = subject.all("sample_posterior", images=images, seed=seed, first_row=first_row)["z"]
    return FlowSamples(z, **subject.all("to_base", z=z))


class MarginalKLMetric(Metric):
    """Algorithm 2, with all that the value has to be read beside."""

    name = "marginal_kl"
    needs = ("encode",)
    uses = ("num_samples", "seed")

    def check(self, subject: Subject, dataset: Any, settings: EvaluationConfig) -> None:
        """See the base; the posterior has to be a Gaussian, or one carried through a flow."""
        super().check(subject, dataset, settings)
        check_encodings(subject, dataset)
        if settings.count(DEFAULT_SAMPLES) < 2:
            raise UsageError("num_samples=1 is too few for marginal_kl: expected at least 2")

    def measure(
        self, subject: Subject, dataset: Any, settings: EvaluationConfig
    ) -> Iterator[Record | Picture]:
        """Yields the marginal KL, average KL, mutual information, floor and log N."""
        encodings = encode_dataset(subject, dataset, cache=subject.cache)
        count = settings.count(DEFAULT_SAMPLES)
        result = monte_carlo_kl(subject, dataset, encodings, count, settings.seed)
        yield from marginal_kl_records(result, _DEFINITIONS)
        yield Picture("bounds", _CAPTION.format(n=result.n), _bars(result))


def monte_carlo_kl(
    subject: Subject, dataset: Any, encodings: Encodings, count: int, seed: int
) -> MarginalKL:
    """Algorithm 2 on `count` draws of the posteriors of all examples."""
    if encodings.flow:
        subject.require("sample_posterior")
        draws = draw_through_flow(subject, dataset, encodings, count, seed)
        conditional_kl = flow_kl(subject, dataset, encodings, seed)
    else:
        draws, conditional_kl = draw_aggregate(encodings, count, seed), None
    return marginal_kl_stream(
        draws, encodings.mean, encodings.stddev, conditional_kl=conditional_kl, total=count
    )


def marginal_kl_records(result: MarginalKL, names: Iterable[str]) -> Iterator[Record]:
    """The records of Algorithm 2 that have these names, keys of `_DEFINITIONS`."""
    values = dataclasses.asdict(result)
    for name in names:
        over_samples = name in ("marginal_kl", "mutual_information")
        error = {
            "marginal_kl": result.standard_error,
            "average_kl": result.average_kl_standard_error,
            "mutual_information": result.mutual_information_standard_error,
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


def _bars(result: MarginalKL) -> Any:
    """The value between its floor and its upper bound."""
    figure, (axis,) = panels(1, 1, (5.5, 2.2))
    bars = {
        "average KL": (result.average_kl, result.average_kl_standard_error, "0.75"),
        "marginal KL": (result.value, result.standard_error, "tab:blue"),
        "floor: average KL - log N": (result.floor, None, "0.75"),
    }
    for name, (value, error, color) in bars.items():
        bar = axis.barh(name, value, xerr=error, color=color, height=0.6)
        axis.bar_label(bar, [f"{value:.4g}"], padding=4, fontsize=9)
    axis.margins(x=0.15)
    axis.set_xlabel("nats", fontsize=9)
    axis.invert_yaxis()
    return figure
