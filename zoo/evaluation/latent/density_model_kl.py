"""A lower bound of KL(q || p) by a density model (Rosca et al. 2018, Algorithm 4 [D]).

A model r is fitted by maximum likelihood to fresh samples of q. On other samples of q

    E_q[ log r(z) - log p(z) ] = KL(q || p) - KL(q || r) <= KL(q || p)

whatever r is: it falls short by what the model cannot fit.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping

import keras
import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure
from tqdm import tqdm

from zoo.config import EvaluationConfig
from zoo.data.images import ImageDataset
from zoo.distributions.density_models import (
    AutoregressiveLSTM,
    DensityModel,
    DiagonalMixture,
    FullMixture,
    MaskedAutoregressiveFlow,
)
from zoo.distributions.gaussian_density import Gaussian, Whitened
from zoo.errors import UsageError, expected_of
from zoo.evaluation.gaussians import log_normal
from zoo.evaluation.latent.code_samplers import Aggregate
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
from zoo.evaluation.latent.reference_density import MOST_FULL_DIMENSIONS
from zoo.evaluation.protocol import Picture, short
from zoo.evaluation.statistics import standard_error
from zoo.evaluation.subject.subject import Subject
from zoo.figures import panels
from zoo.progress import progress_bar
from zoo.records import Record

FIT_SAMPLES = 20_000  # that EM sees, chosen: at 1,000 components 500 MB at work
HELD_OUT_SAMPLES = 5_000  # that choose between mixtures, chosen
_ROWS = 256  # judged at once, chosen: an LSTM keeps `[rows, D, units]`

NetworkDensity = MaskedAutoregressiveFlow | AutoregressiveLSTM

GAUSSIAN, MIXTURE, FULL_MIXTURE = "gaussian", "gmm", "gmm_full_10"
COMPONENTS = (10, 30, 100, 300, 1000)  # of the mixtures that are tried, chosen [C]
FULL_COMPONENTS = 10
NETWORKS = {"maf": MaskedAutoregressiveFlow, "lstm": AutoregressiveLSTM}  # sizes chosen [C]
_MODEL_NAMES = {
    GAUSSIAN: "a Gaussian of full covariance",
    MIXTURE: "a diagonal Gaussian mixture, its number of components chosen by held-out likelihood,",
    FULL_MIXTURE: "a mixture of ten Gaussians of full covariance",
    "maf": "a masked autoregressive flow",
    "lstm": "a Gaussian autoregressive LSTM",
}


@dataclasses.dataclass(frozen=True)
class DensityModelKL:
    """An estimate of E_q[log r - log p] <= KL(q || p), nats."""

    value: float
    standard_error: float
    m: int  # samples that the fit did not see


def maximum_likelihood(
    model: NetworkDensity, draw: Sampler, learning_rate: float = 1e-3, batch_size: int = 64
) -> Fit:
    """The fit of a network's density to fresh draws, to be trained as far as one likes.

    Args:
        model: built.
        draw: a count -> that many fresh z ~ q, `[count, D]`.
        learning_rate: of Adam (chosen [C]).
        batch_size: chosen [C].
    """
    return Fit(
        model.trainable_variables,
        lambda z: -tf.reduce_mean(model.log_prob(z)),
        (draw,),
        model.latent_size,
        batch_size,
        learning_rate=learning_rate,
    )


def fit_density_model(
    name: str, draw: Sampler, size: int, steps: int = 100_000, seed: int = 0, progress: bool = False
) -> DensityModel:
    """A density model of that name, fitted to fresh draws; a network, to draws in the axes of the
    Gaussian, which is what it then starts as.

    Sets the global seeds of Python, NumPy and TensorFlow, from which Keras draws initial weights.

    Args:
        name: `GAUSSIAN`, `MIXTURE`, `FULL_MIXTURE` or a key of `NETWORKS`.
        draw: a count -> that many fresh z ~ q, `[count, D]`.
        size: D.
        steps: updates of a network (chosen [C]); the others take `FIT_SAMPLES` draws instead.
        seed: of weights, or of the first components.
        progress: show a bar on stderr where it takes longer.

    Raises:
        UsageError: the name is unknown, or the loss is not finite.
    """
    if name not in _MODEL_NAMES:
        raise UsageError(
            f"density model {name!r} is not known: {expected_of(name, tuple(_MODEL_NAMES))}"
        )
    z = draw(FIT_SAMPLES)
    if name == MIXTURE:
        return best_mixture(z, draw(HELD_OUT_SAMPLES), seed)
    gaussian = Gaussian.fit(z)
    if name == GAUSSIAN:
        return gaussian
    if name == FULL_MIXTURE:
        return Whitened(gaussian, FullMixture.fit(gaussian.whiten(z), FULL_COMPONENTS, seed))
    keras.utils.set_random_seed(seed)
    model = NETWORKS[name](size)
    model.build()
    with progress_bar(progress, desc=name, total=steps, unit=" updates", delay=2) as bar:
        maximum_likelihood(model, whitened(gaussian, draw)).train(steps, bar)
    return Whitened(gaussian, model)


def whitened(gaussian: Gaussian, draw: Sampler) -> Sampler:
    """The draws of a sampler in the axes of a Gaussian."""
    return lambda count: gaussian.whiten(draw(count)).astype(np.float32)


def best_mixture(z: np.ndarray, held_out: np.ndarray, seed: int) -> DiagonalMixture:
    """The mixture of as many components as give `held_out` the most likelihood.

    More and more components are tried until one number of them gives less than that before: a
    mixture with many fits the noise of what it sees, and its bound falls.

    Args:
        z: codes to fit, `[N, D]`.
        held_out: codes to choose by, `[M, D]`.
        seed: of the first components.

    Raises:
        UsageError: there are fewer codes than the least number of components.
    """

    def fitted(components: int) -> tuple[DiagonalMixture, float]:
        mixture = DiagonalMixture.fit(z, components, seed)
        return mixture, float(np.mean(mixture.log_prob(held_out)))

    best, highest = fitted(COMPONENTS[0])
    for components in COMPONENTS[1:]:
        if components > len(z):
            break
        mixture, likelihood = fitted(components)
        if not likelihood > highest:
            break
        best, highest = mixture, likelihood
    return best


def density_model_kl(
    models: Mapping[str, DensityModel],
    blocks: Iterable[np.ndarray],
    log_prior: Callable[[np.ndarray], np.ndarray] = log_normal,
) -> dict[str, DensityModelKL]:
    """What each model says of KL(q || p), all on the same samples.

    Args:
        models: by name.
        blocks: z `[B, D]` of q that no fit saw, of any and varying B, at least two in all.
        log_prior: log p of codes `[B, D]`: `[B]`, nats; that of N(0, I) by default.

    Raises:
        UsageError: there are fewer than two samples, or a density is not finite on one.
    """
    log_probs = {name: _log_prob(model) for name, model in models.items()}
    terms = {name: [np.empty(0)] for name in models}
    for block in blocks:
        for z in np.split(block, range(_ROWS, len(block), _ROWS)):
            log_p = log_prior(z)
            for name, log_r in log_probs.items():
                terms[name].append(np.asarray(log_r(z), np.float64) - log_p)
    results = {}
    for name, parts in terms.items():
        log_ratio = np.concatenate(parts)
        m = len(log_ratio)
        if m < 2 or not np.isfinite(log_ratio).all():
            raise UsageError(f"{name}: {m} samples: expected at least 2, and log r finite on all")
        results[name] = DensityModelKL(float(log_ratio.mean()), standard_error(log_ratio), m)
    return results


def _log_prob(model: DensityModel) -> Callable[[np.ndarray], np.ndarray]:
    if isinstance(model, Whitened):
        log_prob, gaussian = _log_prob(model.model), model.gaussian
        return lambda z: log_prob(gaussian.whiten(z)) - gaussian.log_volume
    if not isinstance(model, keras.layers.Layer):
        return model.log_prob
    compiled = tf.function(model.log_prob, reduce_retracing=True)
    return lambda z: compiled(tf.constant(z, tf.float32)).numpy()


class DensityModelKLMetric(LearnedKLMetric):
    """Lower bounds of KL(q(z)||p(z)) by a Gaussian, mixtures, a flow and an LSTM (Algorithm 4)."""

    name = "density_model_kl"
    revision = 3
    default_steps = 2_000  # chosen: minutes on two cores, where 100,000 [C] would be hours

    def measure(
        self, subject: Subject, dataset: ImageDataset, settings: EvaluationConfig
    ) -> Iterator[Record | Picture]:
        """Yields a lower bound of the marginal KL by each model and, where Algorithm 2 applies,
        its bounds."""
        aggregate = Aggregate.of(subject, dataset)
        count = settings.count(DEFAULT_SAMPLES)
        steps = settings.train_steps or self.default_steps
        names = [
            name
            for name in _MODEL_NAMES
            if name != FULL_MIXTURE or aggregate.latent_size <= MOST_FULL_DIMENSIONS
        ]
        models = {
            name: fit_density_model(
                name,
                aggregate.sampler(settings.seed + 1),
                aggregate.latent_size,
                steps,
                settings.seed,
                progress=True,
            )
            for name in tqdm(names, "density models", delay=2)
        }
        values = density_model_kl(models, aggregate.blocks(count, settings.seed), subject.log_prior)
        reference = aggregate.monte_carlo_kl(settings.num_samples, settings.seed)
        for name, result in values.items():
            model, network = models[name], name in NETWORKS
            fitted = {"steps": steps} if network else _about(model)
            yield Record(
                f"{self.name}_{name}",
                result.value,
                result.standard_error,
                result.m,
                SPLIT,
                f"E_q(z)[log r(z) - log p(z)] with r {_MODEL_NAMES[name]} fitted to other z ~ q(z) "
                "(Algorithm 4), nats; a lower bound of KL(q(z)||p(z))",
                {**fitted, "posterior": aggregate.posterior, **beside(reference)},
                warnings=short(steps, self.default_steps) if network else (),
            )
        yield from bounds(reference)
        yield Picture(
            "bars",
            "Lower bounds of KL(q(z)||p(z)) by density models (Algorithm 4), nats"
            + (", beside Algorithm 2 and its own bounds." if reference else "."),
            _bars(values, reference),
        )


def _about(model: DensityModel) -> dict[str, int]:
    if not isinstance(model, DiagonalMixture):
        return {"fit_samples": FIT_SAMPLES}
    return {
        "fit_samples": FIT_SAMPLES,
        "held_out_samples": HELD_OUT_SAMPLES,
        "components": model.mixture.n_components,
    }


def _bars(values: Mapping[str, DensityModelKL], reference: MarginalKL | None) -> Figure:
    """The lower bounds of Algorithm 4."""
    figure, (axis,) = panels(1, 1, (6, 3.4))
    for name, result in values.items():
        bar = axis.barh(name, result.value, xerr=result.standard_error, color=VALUE_COLOR)
        axis.bar_label(bar, fmt="%.4g", padding=4, fontsize=8)
    axis.margins(x=0.12)
    axis.invert_yaxis()
    reference_lines(axis.axvline, reference)
    axis.set_xlabel("nats", fontsize=9)
    if reference is not None:
        figure.legend(loc="outside upper center", ncols=3, fontsize=8)
    return figure
