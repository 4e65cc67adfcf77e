"""KL(q(z) || p(z)) by Monte Carlo, exact over the data set (Rosca et al. 2018, Algorithm 2 [D]),
its noise taken out by a control variate.

The aggregate posterior of N encoded examples is the mixture q(z) = 1/N sum_n q(z|x_n), and

    KL(q(z) || p(z)) = E [ log q(z_m) - log p(z_m) ],    z_m ~ q(z|x_i), i uniform among the N;
    p = N(0, I) or another prior that the model has.

The example that produced z_m stays in the sum over n: the estimate is then unbiased for the
mixture of these N examples. Leaving it out estimates nothing (50 dimensions, standard deviation
0.2, N = 10,000: -469 nats where the value is 71).

Each term is log q(z_m) - log p(z_m) = c + g + h - log N with

    c = log q(z_m|x_i) - log N(z_m; 0, I),    whose mean is the average KL in closed form,
    g = log sum_n q(z_m|x_n) / q(z_m|x_i),    whose mean is log N less the mutual information,
    h = log N(z_m; 0, I) - log p(z_m),        0 where the prior is N(0, I).

Where the posterior is a Gaussian carried through a flow, c and g are taken in the Gaussian's own
space, to which the flow brings z_m, and h has its log-determinant. So the plain mean has the noise
of c, many nats, though its mean is known. The line of least squares in c takes that out: value =
mean - slope (mean c - average KL). A slope of 0 is the plain mean, a slope of 1 leaves the noise of
g alone, and neither is the best everywhere: where q(z) is p(z), g undoes c, and where codes tell
their images g is 0.

In expectation the value is at least average KL - log N, however well the population matches the
prior; with tens of dimensions and narrow posteriors it lies at that floor.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from matplotlib.figure import Figure

from zoo.config import EvaluationConfig
from zoo.data.images import ImageDataset
from zoo.errors import UsageError
from zoo.evaluation.gaussians import (
    check_matrix,
    check_posterior,
    gaussian_kl,
    log_normal,
)
from zoo.evaluation.latent.aggregate_posterior import Draws, draw_aggregate, draw_through_flow
from zoo.evaluation.latent.overlap import log_overlap, log_overlap_in_float32
from zoo.evaluation.latent.pairs import BLOCK_BYTES
from zoo.evaluation.protocol import Metric, Picture, few
from zoo.evaluation.statistics import Line, standard_error
from zoo.evaluation.subject.encodings import (
    ENCODED_SPLITS,
    Encodings,
    check_encodings,
    encode_dataset,
)
from zoo.evaluation.subject.subject import Subject
from zoo.figures import panels
from zoo.progress import progress_bar
from zoo.records import Record

DEFAULT_SAMPLES = 2_000  # chosen; the paper's number is lost
LEAST_SAMPLES = 3  # a line has two parameters, and its error needs one sample more
ENOUGH_SAMPLES = 200  # chosen: with 50 the line is off by 0.15 of the error, which is too small
SATURATED = 0.9  # identification rate, chosen

# Nats that an overlap in float32 may be wrong by, and its share of the standard error, chosen.
_MOST_ERROR, _SHARE, _LEAST_ERROR = 1e-3, 0.1, 1e-9

_CAPTION = (
    "KL(q(z)||p(z)) of the {n} encoded examples between its bounds, nats: in expectation it lies "
    "between the floor and the average KL, however well the population matches the prior."
)

_DEFINITIONS = {
    "marginal_kl": "KL(q(z)||p(z)) of the aggregate posterior of the N encoded examples, by Monte "
    "Carlo over z ~ q(z) (Algorithm 2) with log q(z|x) - log p(z) as control variate, nats",
    "average_kl": "mean over the N examples of KL(q(z|x)||p(z)), nats; never below marginal_kl",
    "mutual_information": "average_kl - marginal_kl, nats; at most log N",
    "marginal_kl_floor": "max(0, average_kl - log N), nats; marginal_kl is never less, however "
    "well the population matches the prior",
    "log_n": "log of the number N of encoded examples, nats",
    "identification_rate": "mean probability, given z ~ q(z|x_i), that the code is that of x_i "
    "and of no other of the N examples; at 1 the mutual information is log N, and marginal_kl its "
    "floor",
}


@dataclasses.dataclass(frozen=True)
class MarginalKL:
    """The marginal KL and what it has to be read beside, in nats."""

    value: float  # KL(q(z) || p(z)), in [floor, average_kl]
    standard_error: float  # of value for these N examples, the M samples taken as independent
    average_kl: float  # mean over the N examples of KL(q(z|x_n) || p(z))
    average_kl_standard_error: float | None  # the N examples taken as a sample; None if N = 1
    log_n: float  # log N, the most mutual information that N examples can show
    floor: float  # max(0, average_kl - log_n), the least that value can be
    mutual_information: float  # average_kl - value (equation 5 [D]), in [0, log_n]
    mutual_information_standard_error: float  # for these N examples
    identification_rate: float  # mean of exp(-g)
    identification_rate_standard_error: float
    slope: float  # of the fitted line
    plain_standard_error: float  # what the mean without the line would have
    population_standard_error: float | None  # of value, the N examples taken as a sample
    m: int  # samples
    n: int  # examples


def marginal_kl(draws: Draws, mean: np.ndarray, stddev: np.ndarray) -> MarginalKL:
    """Algorithm 2 on samples that are in memory; see `marginal_kl_stream`."""
    return marginal_kl_stream([draws], mean, stddev)


def marginal_kl_stream(
    blocks: Iterable[Draws],
    mean: np.ndarray,
    stddev: np.ndarray,
    *,
    log_prior: Callable[[np.ndarray], np.ndarray] = log_normal,
    block_bytes: int = BLOCK_BYTES,
    total: int | None = None,
) -> MarginalKL:
    """Algorithm 2 on a stream of samples, of each of which only a few numbers are kept.

    The overlaps g are products in float32; of the rows where their error may be above a thousandth
    of a nat or a tenth of the standard error, in float64.

    Args:
        blocks: `Draws` of any and varying size, of examples uniform among the N: by chance, or each
            in its turn, which makes the standard error a little too large.
        mean: [N, D], posterior means of all examples (training and validation set [P]), in the
            space of `Draws.base`.
        stddev: [N, D], posterior standard deviations there.
        log_prior: log p of codes `[B, D]`: `[B]`, nats; that of N(0, I) by default.
        block_bytes: bound of each large working array.
        total: samples to come, for the error that float32 is granted, and for a bar on stderr where
            it takes longer; None for no bar.

    Raises:
        UsageError: shapes disagree, a value is not finite, a standard deviation is not positive, an
            index is none of an example, or there are fewer than three samples.
    """
    mean, stddev = check_posterior(mean, stddev)
    n, d = mean.shape
    kl = gaussian_kl(mean, stddev)
    terms = [np.empty((4, 0))]
    bar = progress_bar(total is not None, desc="marginal KL", unit=" samples", total=total, delay=2)
    with bar:
        for draws in _gather(blocks, max(1, block_bytes // (32 * d)), (n, d)):
            c, h = _ratios(draws, mean, stddev, log_prior)
            m = total or sum(part.shape[1] for part in terms) + len(c)
            g = _overlaps(draws, mean, stddev, c, h, m, block_bytes)
            terms.append(np.stack([c, g, h, kl[draws.example]]))
            bar.update(len(c))
    c, g, h, kl_of_draw = np.concatenate(terms, axis=1)
    m = len(c)
    if m < LEAST_SAMPLES or not np.isfinite([c, g, h]).all():
        raise UsageError(f"{m} samples of q(z): expected at least {LEAST_SAMPLES}, and all finite")
    return _estimate(c, g, h, kl, kl_of_draw)


def _ratios(
    draws: Draws,
    mean: np.ndarray,
    stddev: np.ndarray,
    log_prior: Callable[[np.ndarray], np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """c and h of the head of this file, `[B]` each."""
    log_base = log_normal(draws.base)
    c = log_normal(draws.base, mean[draws.example], stddev[draws.example]) - log_base
    return c, log_base + draws.log_det - log_prior(draws.z)


def _overlaps(
    draws: Draws,
    mean: np.ndarray,
    stddev: np.ndarray,
    c: np.ndarray,
    h: np.ndarray,
    m: int,
    block_bytes: int,
) -> np.ndarray:
    """g of the head of this file `[B]`, of the first of `m` samples."""
    arguments = mean, stddev, block_bytes
    g, error = log_overlap_in_float32(draws.base, draws.example, *arguments)
    told, allowed = np.isfinite(g), _LEAST_ERROR
    if told.sum() >= LEAST_SAMPLES:
        spread = Line.fit(c[told], (g + h)[told]).spread
        allowed = max(_LEAST_ERROR, min(_MOST_ERROR, _SHARE * spread / math.sqrt(m)))
    rows = ~(error <= allowed)
    if rows.any():
        g[rows] = log_overlap(draws.base[rows], draws.example[rows], *arguments)
    return g


def _estimate(
    c: np.ndarray, g: np.ndarray, h: np.ndarray, kl: np.ndarray, kl_of_draw: np.ndarray
) -> MarginalKL:
    """From c, g, h and the closed-form KL of the examples drawn, `[M]` each, and of all, `[N]`."""
    m, n, known = len(c), len(kl), float(kl.mean())
    lines = {name: Line.fit(c, y) for name, y in (("g", g), ("h", h), ("both", g + h))}
    root, log_n = math.sqrt(m), math.log(n)
    average_kl = known + lines["h"].at(known)
    floor = max(0.0, average_kl - log_n)
    # Of given encodings the KL is a number, and that keeps to its bounds.
    value = average_kl - log_n + lines["g"].at(known)
    value = max(floor, min(average_kl, value))
    plain, error = c + g + h, lines["both"].spread / root
    average_error = population_error = None
    if n > 1:
        average_error = standard_error(kl)
        if h.any():
            average_error = math.hypot(
                np.std(kl_of_draw + h, ddof=1) / math.sqrt(n), lines["h"].spread / root
            )
        population_error = math.hypot(error, np.std(plain, ddof=1) / math.sqrt(n))
    return MarginalKL(
        value=value,
        standard_error=error,
        average_kl=average_kl,
        average_kl_standard_error=average_error,
        log_n=log_n,
        floor=floor,
        mutual_information=average_kl - value,
        mutual_information_standard_error=lines["g"].spread / root,
        identification_rate=float(np.exp(-g).mean()),
        identification_rate_standard_error=standard_error(np.exp(-g)),
        slope=1 + lines["both"].slope,
        plain_standard_error=standard_error(plain),
        population_standard_error=population_error,
        m=m,
        n=n,
    )


def _gather(
    blocks: Iterable[Draws], rows: int, encodings_shape: tuple[int, int]
) -> Iterator[Draws]:
    """Checks blocks and joins them to such of at least `rows` rows: BLAS is slow on few."""
    pending: list[Draws] = []
    for block in blocks:
        pending.append(_checked(block, *encodings_shape))
        if sum(len(part.example) for part in pending) >= rows:
            yield _joined(pending)
            pending = []
    if pending:
        yield _joined(pending)


def _joined(parts: list[Draws]) -> Draws:
    return parts[0] if len(parts) == 1 else Draws(*map(np.concatenate, zip(*parts, strict=True)))


def _checked(draws: Draws, n: int, d: int) -> Draws:
    example, log_det = np.asarray(draws.example), np.asarray(draws.log_det)
    base, z = check_matrix("base", draws.base), check_matrix("z", draws.z)
    if base.shape[1] != d:
        raise UsageError(f"base has {base.shape[1]} dimensions: expected the posterior's {d}")
    shapes = example.shape, base.shape, z.shape, log_det.shape
    if shapes != ((len(z),), z.shape, z.shape, (len(z),)):
        raise UsageError(f"Draws of shapes {shapes}: expected [B], [B, D], [B, D], [B]")
    if example.dtype.kind not in "iu" or example.min() < 0 or example.max() >= n:
        raise UsageError(
            f"example of {example.dtype} from {example.min()} to {example.max()}: expected whole "
            f"numbers from 0 to {n - 1}"
        )
    return Draws(example, base, z, log_det)


class MarginalKLMetric(Metric):
    """KL(q(z)||p(z)) by Monte Carlo (Algorithm 2), with all that it has to be read beside."""

    name = "marginal_kl"
    lower_is_better = ("marginal_kl",)
    beside = {"marginal_kl": "marginal_kl_floor"}
    revision = 2
    needs = ("encode",)
    uses = ("num_samples", "seed")

    def check(self, subject: Subject, dataset: ImageDataset, settings: EvaluationConfig) -> None:
        """As every metric's; the posterior has to be a Gaussian, or one carried through a flow, and
        the prior to have a density."""
        super().check(subject, dataset, settings)
        subject.check_prior()
        check_encodings(subject, dataset)
        check_samples(self.name, settings.count(DEFAULT_SAMPLES))

    def measure(
        self, subject: Subject, dataset: ImageDataset, settings: EvaluationConfig
    ) -> Iterator[Record | Picture]:
        """Yields the marginal KL, average KL, mutual information, floor, log N and the
        identification rate."""
        encodings = encode_dataset(subject, dataset, cache=subject.cache)
        count = settings.count(DEFAULT_SAMPLES)
        result = monte_carlo_kl(subject, dataset, encodings, count, settings.seed)
        yield from marginal_kl_records(result, _DEFINITIONS)
        yield Picture("bounds", _CAPTION.format(n=result.n), _bars(result))


def check_samples(name: str, count: int) -> None:
    """Raises `UsageError` where a metric of that name has too few samples for Algorithm 2."""
    if count < LEAST_SAMPLES:
        raise UsageError(
            f"num_samples={count} is too few for {name}: expected at least {LEAST_SAMPLES}"
        )


def monte_carlo_kl(
    subject: Subject,
    dataset: ImageDataset,
    encodings: Encodings,
    count: int,
    seed: int,
    splits: Sequence[str] = ENCODED_SPLITS,
) -> MarginalKL:
    """Algorithm 2 on `count` draws of the posteriors of all examples of the splits."""
    if encodings.flow:
        subject.require("sample_posterior")
        draws = draw_through_flow(subject, dataset, encodings, count, seed, splits)
    else:
        draws = draw_aggregate(encodings, count, seed)
    return marginal_kl_stream(
        draws, encodings.mean, encodings.stddev, log_prior=subject.log_prior, total=count
    )


def saturated(result: MarginalKL) -> tuple[str, ...]:
    """The warning of a marginal KL that is only its floor."""
    if result.identification_rate < SATURATED or result.n == 1:
        return ()
    return (
        f"saturated: a code tells its image among all N = {result.n} with probability "
        f"{result.identification_rate:.3g}, so that the mutual information "
        f"{result.mutual_information:.4g} is close to the most that it can be, log N = "
        f"{result.log_n:.4g}: this value tells of N, and nothing of the population",
    )


def marginal_kl_records(result: MarginalKL, names: Iterable[str]) -> Iterator[Record]:
    """The records of Algorithm 2 that have these names, keys of `_DEFINITIONS`."""
    values = dataclasses.asdict(result)
    details = {"samples": result.m, "examples": result.n}
    estimated = {
        "marginal_kl": result.standard_error,
        "mutual_information": result.mutual_information_standard_error,
        "identification_rate": result.identification_rate_standard_error,
    }
    warnings = (
        *few(result.m, ENOUGH_SAMPLES, "the fitted line and its error are off by a part of it"),
        *saturated(result),
    )
    how = {name: values[name] for name in ("slope", "plain_standard_error")}
    how["population_standard_error"] = result.population_standard_error
    for name in names:
        yield Record(
            name,
            values[{"marginal_kl": "value", "marginal_kl_floor": "floor"}.get(name, name)],
            result.average_kl_standard_error if name == "average_kl" else estimated.get(name),
            result.m if name in estimated else result.n,
            "+".join(ENCODED_SPLITS),
            _DEFINITIONS[name],
            details | how if name == "marginal_kl" else details,
            warnings=warnings if name == "marginal_kl" else (),
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
