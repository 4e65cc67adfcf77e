"""KL(q || p) of two samplers by the density ratio trick (Rosca et al. 2018, Algorithm 3 [D]).

A critic c is trained with cross entropy to tell z ~ q (label 1) from z ~ p (label 0). At its
optimum c(z) = log q(z)/p(z), so that

    KL(q || p) = E_q c(z) ~ mean of c over fresh z ~ q.

A mean logit is not bounded: a critic that is sure of itself gives any number (the paper's Tables 1
and 2 have 25,812 and 720,140). It is returned as it is. Beside it stand the Donsker-Varadhan value
E_q c - log E_p e^c of the same critic and that of Nguyen et al. 2010, E_q c - E_p e^c + 1, which no
c lifts above the KL in expectation over q and p; with few samples of p they may lie above it.

Where q and p are far apart any critic tells them apart, and none has to know by how much. From a
reference r close to q, KL(q || p) = E_q[log r - log p] + KL(q || r): with r the Gaussian of q's
moments the first term needs no critic, and the second is that of codes in the axes in which r is
N(0, I).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure
from tqdm import tqdm

from zoo.config import EvaluationConfig
from zoo.data.images import ImageDataset
from zoo.distributions.gaussian_density import Gaussian
from zoo.errors import UsageError
from zoo.evaluation.gaussians import normal_sampler
from zoo.evaluation.latent.calibration import (
    Temperature,
    nwj_value,
    overfitted,
    overshooting,
    temperature,
)
from zoo.evaluation.latent.code_samplers import Aggregate
from zoo.evaluation.latent.density_model_kl import (
    FIT_SAMPLES,
    DensityModelKL,
    density_model_kl,
    whitened,
)
from zoo.evaluation.latent.fitting import Fit, Sampler
from zoo.evaluation.latent.learned_kl import (
    DEFAULT_SAMPLES,
    SPLIT,
    VALUE_COLOR,
    LearnedKLMetric,
    beside,
    bounds,
    reference_lines,
)
from zoo.evaluation.latent.marginal_kl import MarginalKL
from zoo.evaluation.protocol import Picture, short
from zoo.evaluation.statistics import effective_samples
from zoo.evaluation.subject.subject import Subject
from zoo.figures import panels
from zoo.losses import as_fake, as_real, gradient_penalty
from zoo.networks.critics import CodeCritic
from zoo.noise import step_noise
from zoo.options import Option
from zoo.progress import progress_bar
from zoo.records import Record

CURVE_POINTS = 20  # chosen
CURVE_SAMPLES = 2_000  # of each side, for a point of the curve; chosen
_ROWS = 4096  # drawn and judged at once, chosen


@dataclasses.dataclass(frozen=True)
class RatioOptions:
    """The critic and its training: what the paper's Tables 1 and 2 vary.

    Attributes:
        hidden_layers: three, those of the models' code critic [P]; the tables' numbers are lost.
        units: of each hidden layer (chosen [C]).
        learning_rate: of Adam with beta 0.5 and 0.9; 5e-4 or 1e-4 in Table 2 [P].
        activation_noise: standard deviation of Gaussian noise on the hidden layers in training; 0.1
            where the tables say yes (chosen [C]).
        dropout: share of the hidden layers that training drops; 0.5 where the tables say yes
            (chosen).
        gradient_penalty: weight of (||grad c|| - 1)^2 between pairs of q and p; 10 where the tables
            say yes, as in WGAN-GP.
        batch_size: minibatch of each side (chosen [C]).

    Raises:
        UsageError: a value is out of range.
    """

    hidden_layers: int = 3
    units: int = 1000
    learning_rate: float = 5e-4
    activation_noise: float = 0.0
    dropout: float = 0.0
    gradient_penalty: float = 0.0
    batch_size: int = 64

    def __post_init__(self) -> None:
        positive = ("hidden_layers", "units", "learning_rate", "batch_size")
        for name, value in dataclasses.asdict(self).items():
            if not (value > 0 if name in positive else value >= 0):
                least = "above 0" if name in positive else "0 or more"
                raise UsageError(f"{name}={value} is not accepted: expected {least}")
        if self.dropout >= 1:
            raise UsageError(f"dropout={self.dropout} is not accepted: expected below 1")


@dataclasses.dataclass(frozen=True)
class DensityRatioKL:
    """Estimates of KL(q || p) by one critic, nats.

    Attributes:
        value: mean logit over z ~ q, neither bounded nor clipped.
        standard_error: of `value`, for this critic as it is; see `spread` for its training.
        donsker_varadhan: mean logit over z ~ q - log mean exp(logit) over z ~ p.
        donsker_varadhan_standard_error: to first order.
        nwj: mean logit over z ~ q - mean exp(logit) over z ~ p + 1, minus infinity where an exp is
            beyond float64.
        nwj_standard_error: of `nwj`.
        effective_samples: of z ~ p, that carry the mean of exp(logit).
        temperature: of the critic on these samples.
        cross_entropy: of the critic on these samples; log 4 where it tells nothing apart.
        steps: updates of the critic.
        m: samples of each side.
        curve: estimates from the start to the end of the training.
    """

    value: float
    standard_error: float
    donsker_varadhan: float
    donsker_varadhan_standard_error: float
    nwj: float
    nwj_standard_error: float
    effective_samples: float
    temperature: Temperature
    cross_entropy: float
    steps: int
    m: int
    curve: tuple[DensityRatioKL, ...] = ()

    @property
    def spread(self) -> float:
        """Standard deviation of `value` over the last quarter of the curve: a critic on minibatches
        never rests, and a mean logit takes each shift of its bias at full."""
        return float(np.std([point.value for point in self.curve[-max(1, len(self.curve) // 4) :]]))


class DensityRatio:
    """A critic of two samplers, trained as far as one likes.

    Sets the global seeds of Python, NumPy and TensorFlow, from which Keras draws initial weights.

    Args:
        draw_q: a count -> that many fresh z ~ q, `[count, D]`.
        draw_p: likewise of p.
        size: D.
        options: of the critic and its training.
        seed: of weights and noise.
    """

    def __init__(
        self,
        draw_q: Sampler,
        draw_p: Sampler,
        size: int,
        options: RatioOptions = RatioOptions(),
        seed: int = 0,
    ):
        self._draw_q, self._draw_p, self._options, self._seed = draw_q, draw_p, options, seed
        keras.utils.set_random_seed(seed)
        self.critic = CodeCritic(
            size,
            options.units,
            1.0,
            options.hidden_layers,
            options.activation_noise,
            options.dropout,
        )
        # Counted in the graph, where the number of updates of a `Fit` is not known.
        self._draws = tf.Variable(0, trainable=False)
        self._fit = Fit(
            self.critic.trainable_variables,
            self._loss,
            (draw_q, draw_p),
            size,
            options.batch_size,
            learning_rate=options.learning_rate,
            beta_1=0.5,
            beta_2=0.9,
            epsilon=1e-8,
        )
        self._logit = tf.function(self.critic, reduce_retracing=True)

    @property
    def steps(self) -> int:
        """Updates of the critic so far."""
        return self._fit.steps

    def train(self, steps: int, bar: tqdm | None = None) -> None:
        """Makes `steps` updates on fresh draws.

        Raises:
            UsageError: the loss is not finite.
        """
        self._fit.train(steps, bar)

    def _loss(self, q: tf.Tensor, p: tf.Tensor) -> tf.Tensor:
        logit_q, logit_p = tf.split(self.critic(tf.concat([q, p], axis=0), training=True), 2)
        loss = tf.reduce_mean(as_real(logit_q) + as_fake(logit_p))
        if self._options.gradient_penalty:
            noise = step_noise(self._seed, self._draws.assign_add(1), self._options.batch_size)
            position = noise.uniform("interpolation", (1,))
            penalty = gradient_penalty(lambda z: self.critic(z, training=True), q, p, position)
            loss += self._options.gradient_penalty * tf.reduce_mean(penalty)
        return loss

    def log_ratio(self, z: np.ndarray) -> np.ndarray:
        """The logit of codes `[M, D]`, the critic's log q(z)/p(z), float64 `[M]`, nats."""
        return self._logit(tf.constant(z, tf.float32)).numpy().astype(np.float64)

    def estimate(self, count: int) -> DensityRatioKL:
        """The KL by the critic as it is, on `count` fresh draws of each side.

        Raises:
            UsageError: `count` is below 2, or a logit is not finite.
        """
        if count < 2:
            raise UsageError(f"{count} samples are too few: expected at least 2")
        sizes = [min(_ROWS, count - start) for start in range(0, count, _ROWS)]
        q, p = (
            np.concatenate([self.log_ratio(draw(size)) for size in sizes])
            for draw in (self._draw_q, self._draw_p)
        )
        if not (np.isfinite(q).all() and np.isfinite(p).all()):
            raise UsageError(
                f"the logit is not finite after {self.steps} updates: expected a fit that "
                "converges; try a smaller learning rate"
            )
        ratio, (nwj, nwj_error) = np.exp(p - p.max()), nwj_value(q, p)
        variance_q, variance_ratio = q.var(ddof=1), ratio.var(ddof=1) / ratio.mean() ** 2
        return DensityRatioKL(
            value=float(q.mean()),
            standard_error=math.sqrt(variance_q / count),
            donsker_varadhan=float(q.mean() - p.max() - np.log(ratio.mean())),
            donsker_varadhan_standard_error=math.sqrt((variance_q + variance_ratio) / count),
            nwj=nwj,
            nwj_standard_error=nwj_error,
            effective_samples=float(effective_samples(p)),
            temperature=temperature(q, p),
            cross_entropy=float(np.logaddexp(0, -q).mean() + np.logaddexp(0, p).mean()),
            steps=self.steps,
            m=count,
        )


def estimate(
    draw_q: Sampler,
    draw_p: Sampler,
    size: int,
    options: RatioOptions = RatioOptions(),
    steps: int = 100_000,
    seed: int = 0,
    samples: int = 10_000,
    progress: bool = False,
) -> DensityRatioKL:
    """Trains a critic of two samplers and estimates KL(q || p), with the curve of the training.

    Args:
        draw_q: a count -> that many fresh z ~ q, `[count, D]`.
        draw_p: likewise of p.
        size: D.
        options: of the critic and its training.
        steps: updates (chosen [C]; the paper's number is lost).
        seed: of weights and noise.
        samples: fresh draws of each side for the estimate (chosen).
        progress: show a bar on stderr where it takes longer.

    Raises:
        UsageError: the loss is not finite, or there are fewer than two samples.
    """
    ratio, curve = DensityRatio(draw_q, draw_p, size, options, seed), []
    with progress_bar(progress, desc="critic", total=steps, unit=" updates", delay=2) as bar:
        for stop in np.unique(np.linspace(0, steps, CURVE_POINTS + 1).astype(int)):
            ratio.train(int(stop) - ratio.steps, bar)
            curve.append(ratio.estimate(CURVE_SAMPLES))
    return dataclasses.replace(ratio.estimate(samples), curve=tuple(curve))


class DensityRatioKLMetric(LearnedKLMetric):
    """KL(q(z)||p(z)) by a density ratio (Algorithm 3), with the default `RatioOptions`."""

    name = "density_ratio_kl"
    revision = 2
    options = (
        Option(
            "reference",
            "prior",
            "What the classifier of density_ratio_kl tells codes from: the prior, or a Gaussian of "
            "their moments, whose own KL needs no classifier.",
            choices=("prior", "gaussian"),
        ),
    )
    default_steps = 5_000  # chosen: minutes on two cores, 100,000 [C] would be an hour

    def measure(
        self, subject: Subject, dataset: ImageDataset, settings: EvaluationConfig
    ) -> Iterator[Record | Picture]:
        """Yields the mean logit, the Donsker-Varadhan and NWJ values and, where Algorithm 2
        applies, its bounds."""
        aggregate = Aggregate.of(subject, dataset)
        count, size = settings.count(DEFAULT_SAMPLES), aggregate.latent_size
        options, steps = RatioOptions(), settings.train_steps or self.default_steps
        draw_q = aggregate.sampler(settings.seed)
        draw_r = subject.prior_sampler(size, settings.seed + 1)
        known = DensityModelKL(0.0, 0.0, count)  # E_q[log r - log p]
        if settings.reference == "gaussian":
            gaussian = Gaussian.fit(draw_q(FIT_SAMPLES))
            codes = [draw_q(count)]
            (known,) = density_model_kl({"r": gaussian}, codes, subject.log_prior).values()
            draw_q, draw_r = whitened(gaussian, draw_q), normal_sampler(size, settings.seed + 1)
        result = estimate(draw_q, draw_r, size, options, steps, settings.seed, count, progress=True)
        algorithm_2 = aggregate.monte_carlo_kl(settings.num_samples, settings.seed)
        details = {
            "steps": result.steps,
            "spread_over_the_last_quarter_of_training": result.spread,
            "cross_entropy": result.cross_entropy,
            "temperature": result.temperature.value,
            "effective_samples": result.effective_samples,
            "reference_alone": known.value,
            "posterior": aggregate.posterior,
            **dataclasses.asdict(options),
            **beside(algorithm_2),
        }
        for ending, definition in _definitions(settings.reference).items():
            value = getattr(result, ending or "value")
            error = getattr(result, f"{ending}_standard_error".lstrip("_"))
            if not (math.isfinite(value) and math.isfinite(error)):
                continue  # minus infinity bounds nothing
            doubts = overfitted(result.temperature)
            if ending:
                rests_on = result.donsker_varadhan, result.effective_samples
                doubts = overshooting(*rests_on, count)
            yield Record(
                f"{self.name}_{ending}" if ending else self.name,
                known.value + value,
                math.hypot(known.standard_error, error),
                count,
                SPLIT,
                definition,
                details,
                warnings=(*short(result.steps, self.default_steps), *doubts),
            )
        yield from bounds(algorithm_2)
        yield Picture(
            "curve",
            "KL(q(z)||p(z)) by the classifier over its training (Algorithm 3), nats"
            + (", beside Algorithm 2 and the bounds." if algorithm_2 else "."),
            _curve(result, known.value, algorithm_2),
        )


def _definitions(reference: str) -> dict[str, str]:
    """What the record of each value is, by its field of `DensityRatioKL`, of `value` ""."""
    against, known = {
        "prior": ("z ~ p(z)", ""),
        "gaussian": ("z ~ r(z)", "E_q[log r - log p], r the Gaussian of q's moments, and "),
    }[reference]
    logit = f"{known}the mean logit over fresh z ~ q(z)"
    bound = "nats; a lower bound of KL(q(z)||p(z)) but for the samples' noise"
    return {
        "": f"KL(q(z)||p(z)) by a classifier of z ~ q(z) against {against} (Algorithm 3): {logit}, "
        "nats; not a bound, and not clipped",
        "donsker_varadhan": f"{logit} - log mean exp(logit) over {against} of the same classifier, "
        + bound,
        "nwj": f"{logit} - mean exp(logit) over {against} + 1 of the same classifier (Nguyen et "
        f"al. 2010), {bound}",
    }


def _curve(result: DensityRatioKL, known: float, reference: MarginalKL | None) -> Figure:
    """The estimates of Algorithm 3 over the updates of its critic."""
    figure, (axis,) = panels(1, 1, (6, 3.4))
    points = (*result.curve, result)
    steps = [point.steps for point in points]
    axis.plot(steps, [known + p.value for p in points], color=VALUE_COLOR, label="mean logit")
    values = [known + p.donsker_varadhan for p in points]
    axis.plot(steps, values, color="tab:green", label="Donsker-Varadhan")
    reference_lines(axis.axhline, reference)
    axis.set_xlabel("updates of the classifier", fontsize=9)
    axis.set_ylabel("nats", fontsize=9)
    figure.legend(loc="outside upper center", ncols=3, fontsize=8)
    return figure
