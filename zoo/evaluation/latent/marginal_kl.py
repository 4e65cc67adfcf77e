"""KL(q(z) || p(z)) by Monte Carlo, exact over the data set (Rosca et al. 2018, Algorithm 2 [D]).

The aggregate posterior of N encoded examples is the mixture q(z) = 1/N sum_n q(z|x_n), and

    KL(q(z) || p(z)) ~ mean_m [ log q(z_m) - log p(z_m) ],    z_m ~ q(z|x_m),
    p = N(0, I) or another prior that the model has.

The example that produced z_m stays in the sum over n: the estimate is then unbiased for the
mixture of these N examples. Leaving it out estimates nothing (50 dimensions, standard deviation
0.2, N = 10,000: -469 nats where the value is 71).

In expectation the value is at least average KL - log N, however well the population matches the
prior; with tens of dimensions and narrow posteriors it lies at that floor.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

from zoo.config import EvaluationConfig
from zoo.data.images import ImageDataset
from zoo.errors import UsageError
from zoo.evaluation.gaussians import check_posterior, gaussian_kl, log_normal
from zoo.evaluation.latent.aggregate_posterior import (
    BLOCK_BYTES,
    FlowSamples,
    draw_aggregate,
    draw_through_flow,
    drawn_kl,
    log_aggregate_posterior,
)
from zoo.evaluation.protocol import Metric, Picture
from zoo.evaluation.statistics import standard_error
from zoo.evaluation.subject.encodings import (
    ENCODED_SPLITS,
    Encodings,
    check_encodings,
    encode_dataset,
)
from zoo.evaluation.subject.subject import Subject
from zoo.figures import panels
from zoo.records import Record

DEFAULT_SAMPLES = 10_000  # chosen; the paper's number is lost

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


@dataclasses.dataclass(frozen=True)
class MarginalKL:
    """The marginal KL and what it has to be read beside, in nats."""

    value: float  # KL(q(z) || p(z))
    standard_error: float  # of value, the M samples taken as independent
    average_kl: float  # mean over the N examples of KL(q(z|x_n) || p(z))
    average_kl_standard_error: float | None  # the N examples taken as a sample; None if N = 1
    log_n: float  # log N, the most mutual information that N examples can show
    floor: float  # max(0, average_kl - log_n), the least that value can be in expectation
    mutual_information: float  # average_kl - value (equation 5 [D]); expected in [0, log_n]
    mutual_information_standard_error: float  # for these N examples, whose average KL is no sample
    m: int  # samples
    n: int  # examples


def marginal_kl(
    samples: np.ndarray | FlowSamples,
    mean: np.ndarray,
    stddev: np.ndarray,
    *,
    conditional_kl: np.ndarray | None = None,
) -> MarginalKL:
    """Algorithm 2 on samples that are in memory; see `marginal_kl_stream`."""
    return marginal_kl_stream([samples], mean, stddev, conditional_kl=conditional_kl)


def marginal_kl_stream(
    blocks: Iterable[np.ndarray | FlowSamples],
    mean: np.ndarray,
    stddev: np.ndarray,
    *,
    conditional_kl: np.ndarray | None = None,
    log_prior: Callable[[np.ndarray], np.ndarray] = log_normal,
    block_bytes: int = BLOCK_BYTES,
    total: int | None = None,
) -> MarginalKL:
    """Algorithm 2 on a stream of samples, of each of which only one number is kept.

    Args:
        blocks: z [B, D] or `FlowSamples`, of any and varying B: draws z_m ~ q(z|x_m), with x_m
            drawn uniformly from the N examples.
        mean: [N, D], posterior means of all examples (training and validation set [P]).
        stddev: [N, D], posterior standard deviations.
        conditional_kl: [N], KL(q(z|x_n) || p(z)) or unbiased estimates; needed with `FlowSamples`
            and with a prior that is not N(0, I).
        log_prior: log p of codes `[B, D]`: `[B]`, nats; that of N(0, I) by default.
        block_bytes: bound of each large working array.
        total: samples to come, for a bar on stderr where it takes longer; None for no bar.

    Raises:
        UsageError: shapes disagree, a value is not finite, a standard deviation is not positive,
            there are fewer than two samples, or a flow comes without `conditional_kl`.
    """
    mean, stddev = check_posterior(mean, stddev)
    n, d = mean.shape
    closed_form = conditional_kl is None
    kl = gaussian_kl(mean, stddev) if closed_form else np.asarray(conditional_kl, np.float64)
    if kl.shape != (n,) or not np.isfinite(kl).all():
        raise UsageError(f"conditional_kl has shape {kl.shape} or NaN: expected numbers, ({n},)")
    terms = [np.empty(0)]
    bar = tqdm(desc="marginal KL", unit=" samples", total=total, delay=2, disable=total is None)
    with bar:
        for z, base, log_det in _gather(blocks, block_bytes // (32 * d), not closed_form):
            log_q = log_aggregate_posterior(base, mean, stddev, block_bytes=block_bytes)
            terms.append(log_q + log_det - log_prior(z))
            bar.update(len(z))
    log_ratio = np.concatenate(terms)
    if len(log_ratio) < 2 or not np.isfinite(log_ratio).all():
        raise UsageError(f"{len(log_ratio)} samples of q(z): expected at least 2, and all finite")
    value, average_kl, log_n = float(log_ratio.mean()), float(kl.mean()), math.log(n)
    error = standard_error(log_ratio)
    average_error = standard_error(kl) if n > 1 else None
    return MarginalKL(
        value=value,
        standard_error=error,
        average_kl=average_kl,
        average_kl_standard_error=average_error,
        log_n=log_n,
        floor=max(0.0, average_kl - log_n),
        mutual_information=average_kl - value,
        # Estimates of the conditional KLs have noise of their own.
        mutual_information_standard_error=error
        if closed_form
        else math.hypot(error, average_error or 0.0),
        m=len(log_ratio),
        n=n,
    )


def _gather(
    blocks: Iterable[np.ndarray | FlowSamples], rows: int, flow_allowed: bool
) -> Iterator[tuple[np.ndarray, ...]]:
    """Joins blocks to (z, base, log_det) of at least `rows` rows: BLAS is slow on few."""
    pending, count = [], 0
    for block in blocks:
        is_flow = isinstance(block, FlowSamples)
        if is_flow and not flow_allowed:
            raise UsageError("conditional_kl=None: with a flow, expected one estimate per example")
        z, base, log_det = map(np.asarray, block if is_flow else (block, block, 0.0))
        if base.shape != z.shape or log_det.shape not in ((), z.shape[:1]):
            shapes = z.shape, base.shape, log_det.shape
            raise UsageError(f"FlowSamples of {shapes}: expected [B, D], [B, D], [B]")
        pending.append((z, base, np.broadcast_to(log_det, z.shape[:1])))
        count += len(z)
        if count >= rows:
            yield tuple(map(np.concatenate, zip(*pending, strict=True)))
            pending, count = [], 0
    if pending:
        yield tuple(map(np.concatenate, zip(*pending, strict=True)))


class MarginalKLMetric(Metric):
    """KL(q(z)||p(z)) by Monte Carlo (Algorithm 2), with all that it has to be read beside."""

    name = "marginal_kl"
    needs = ("encode",)
    uses = ("num_samples", "seed")

    def check(self, subject: Subject, dataset: ImageDataset, settings: EvaluationConfig) -> None:
        """As every metric's; the posterior has to be a Gaussian, or one carried through a flow, and
        the prior to have a density."""
        super().check(subject, dataset, settings)
        subject.check_prior()
        check_encodings(subject, dataset)
        if settings.count(DEFAULT_SAMPLES) < 2:
            raise UsageError("num_samples=1 is too few for marginal_kl: expected at least 2")

    def measure(
        self, subject: Subject, dataset: ImageDataset, settings: EvaluationConfig
    ) -> Iterator[Record | Picture]:
        """Yields the marginal KL, average KL, mutual information, floor and log N."""
        encodings = encode_dataset(subject, dataset, cache=subject.cache)
        count = settings.count(DEFAULT_SAMPLES)
        result = monte_carlo_kl(subject, dataset, encodings, count, settings.seed)
        yield from marginal_kl_records(result, _DEFINITIONS)
        yield Picture("bounds", _CAPTION.format(n=result.n), _bars(result))


def monte_carlo_kl(
    subject: Subject, dataset: ImageDataset, encodings: Encodings, count: int, seed: int
) -> MarginalKL:
    """Algorithm 2 on `count` draws of the posteriors of all examples."""
    draws: Iterator[np.ndarray] | Iterator[FlowSamples]
    if encodings.flow:
        subject.require("sample_posterior")
        draws = draw_through_flow(subject, dataset, encodings, count, seed)
    else:
        draws = draw_aggregate(encodings, count, seed)
    closed_form = subject.has_standard_prior and not encodings.flow
    return marginal_kl_stream(
        draws,
        encodings.mean,
        encodings.stddev,
        conditional_kl=None if closed_form else drawn_kl(subject, dataset, encodings, seed),
        log_prior=subject.log_prior,
        total=count,
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
            "+".join(ENCODED_SPLITS),
            _DEFINITIONS[name],
            {"samples": result.m, "examples": result.n},
        )


def _bars(result: MarginalKL) -> Figure:
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
