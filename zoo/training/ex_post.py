"""Fits a prior to the codes of a run: the model stays as it is, and draws from r(z), not p(z).

With r fitted to codes of training images alone,

    log p(x|z) + log r(z) - log q(z|x),    z ~ q(z|x),

is a bound of the new model's log-likelihood of other images. Its mean less that of the old bound is
the mean of log r(z) - log p(z), which is what Algorithm 4 of Rosca et al. 2018 estimates.
"""

from __future__ import annotations

import dataclasses
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from zoo.config import RunConfig
from zoo.data.images import ImageDataset
from zoo.distributions.ex_post import ExPostHead
from zoo.distributions.ex_post_networks import NetworkHead
from zoo.errors import UsageError, expected_of
from zoo.evaluation.gaussians import log_normal, normal_sampler
from zoo.evaluation.latent import fitting
from zoo.evaluation.statistics import standard_error
from zoo.evaluation.subject.subject import Subject
from zoo.files import atomic_folder, write_json
from zoo.models import build_model, model_class
from zoo.networks import kept
from zoo.registry import EX_POST_PRIORS, NO_PRIOR
from zoo.run import Run

DEFAULT_STEPS = 2_000  # of a network, chosen: minutes on two CPU cores
BATCH_SIZE = 64  # of a network: Dai & Wipf 2019
FIT_CODES = 20_000  # at least, where codes are drawn; chosen
RESTARTS = 3  # of a mixture, chosen
MOST_ITERATIONS, TOLERANCE = 2000, 1e-3  # of EM (Ghosh et al. 2020)
LEAST_VARIANCE = 1e-6  # that EM adds, in shares of the codes' mean variance; chosen
_CHECKS = 20  # of a network's held-out likelihood, chosen
_ROWS = 1000  # judged at once, chosen


@dataclasses.dataclass(frozen=True)
class Fit:
    """How well a prior fits.

    Attributes:
        log_ratio: mean of log r(z) - log p(z) over held-out codes, nats, p the prior before: by so
            much the bound of such images is larger. Where there was none, p is N(0, I); of a prior
            that is not exact, log r is its own lower bound.
        log_ratio_standard_error: of `log_ratio`.
        fit_codes: of training images, that r was fitted to.
        held_out_codes: of validation images, which chose among fits.
    """

    log_ratio: float
    log_ratio_standard_error: float
    fit_codes: int
    held_out_codes: int


def fit_prior(
    run: Run, prior: str, output_dir: str | Path, seed: int = 0, steps: int = DEFAULT_STEPS
) -> tuple[Run, Fit]:
    """The newest checkpoint of a run with another prior, as a new run, and how well that fits.

    The new folder appears complete or not at all; its `prior.json` tells of which run it is.

    Args:
        run: of a model with an encoder.
        prior: one of `zoo.registry.EX_POST_PRIORS`.
        output_dir: the new folder.
        seed: of codes and fit.
        steps: updates of a network; mixtures have none.

    Raises:
        UsageError: the prior is unknown, the run has no encoder, there are too few codes, a fit
            does not converge, or the folder is not empty or cannot be written.
    """
    if prior not in EX_POST_PRIORS:
        raise UsageError(f"prior={prior!r} is not known: {expected_of(prior, EX_POST_PRIORS)}")
    target = Run.check_folder(output_dir)
    if target.is_dir() and any(target.iterdir()):
        raise UsageError(f"{target} is not empty: expected a new folder")
    subject, dataset = Subject.of_run(run), run.dataset
    subject.require("sample_posterior")
    codes, held_out = _codes(run.model, subject, dataset, seed)
    config, own_data = _config(run, prior), run.has_own_data
    model = _with_weights_of(run, config)
    _fit(model.prior_head, codes, held_out, seed, steps)
    drawn_from = run.config.model.prior != NO_PRIOR
    before = subject.log_prior(held_out) if drawn_from else log_normal(held_out)
    log_ratio = _scorer(model.prior())(held_out) - before
    if not np.isfinite(log_ratio).all():
        raise UsageError(f"prior={prior} gives held-out codes no density: expected a fit that does")
    error = standard_error(log_ratio)
    fit = Fit(float(log_ratio.mean()), error, len(codes), len(held_out))
    if target.is_dir():
        target.rmdir()
    with atomic_folder(target) as temporary:
        if own_data:
            config = Run.with_own_data(config, temporary)
        about = run.data_fingerprint, run.image_shape
        made = Run.create_or_resume(temporary, config, *about, class_names=run.class_names)
        if own_data:
            made.keep_data(dataset)
        kept.keep(made.path, model.own.get_config(), begun=False)
        made.checkpoints.save(model)
        if run.metrics_file.exists():  # the weights' log goes with them
            shutil.copyfile(run.metrics_file, made.metrics_file)
            made.forget_metrics_after(int(model.step.numpy()))
        of = {"run": str(run.path.resolve()), "weights": subject.weights}
        write_json(temporary / "prior.json", {"prior": prior, **of, **dataclasses.asdict(fit)})
    return Run.open(target), fit


def _config(run: Run, prior: str) -> RunConfig:
    """That of the run with another prior, which no player trains."""
    model = run.config.model.replace(prior=prior)
    players = model_class(model.model).players_of(model)
    rates = run.config.training.learning_rate
    training = run.config.training.replace(
        learning_rate={player: rate for player, rate in rates.items() if player in players}
    )
    return dataclasses.replace(run.config, model=model, training=training)


def _with_weights_of(run: Run, config: RunConfig) -> Any:
    """A model of this configuration with all weights that the trained one has of it."""
    trained, training = run.model, config.training
    how = training.seed, training.dtype_policy, kept.read(run.path)
    model = build_model(config.model, run.image_shape, *how)
    before = {f"{part}/": network for part, network in trained.parts.items() if part != "prior"}
    for name, variable in model.state.items():
        if name == "step" or name.startswith(tuple(before)):
            variable.assign(trained.state[name].numpy())
    return model


def _codes(
    model: Any, subject: Subject, dataset: ImageDataset, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draws of q(z|x), float32 `[N, D]`: of all training images, several of each where there are
    few; and one of each validation image."""
    train, validation = (dataset.split(name).images for name in ("train", "validation"))
    rounds = math.ceil(FIT_CODES / len(train)) if model.posterior_noise_size else 1

    def draw(images: np.ndarray, first_row: int) -> np.ndarray:
        return subject.all("sample_posterior", images=images, seed=seed, first_row=first_row)["z"]

    parts = [draw(train, i * len(train)) for i in tqdm(range(rounds), "codes", delay=2)]
    return np.concatenate(parts), draw(validation, rounds * len(train))


def _fit(head: ExPostHead, codes: np.ndarray, held_out: np.ndarray, seed: int, steps: int) -> None:
    """Gives the head the weights that fit codes, of several those that fit the held-out ones."""
    if isinstance(head, NetworkHead):
        _train(head, codes, held_out, seed, steps)
        return
    variance = float(codes.astype(np.float64).var(axis=0).mean())
    least_variance = LEAST_VARIANCE * max(variance, float(np.finfo(np.float32).tiny))
    em = {"max_iter": MOST_ITERATIONS, "tol": TOLERANCE}
    mixtures = [
        head.fitted.fit(codes, head.components, seed + restart, least_variance, **em)
        for restart in tqdm(range(RESTARTS), "mixtures", delay=2)
    ]
    head.take(max(mixtures, key=lambda fitted: fitted.log_prob(held_out).mean()).mixture)


def _train(
    head: NetworkHead, codes: np.ndarray, held_out: np.ndarray, seed: int, steps: int
) -> None:
    keras.utils.set_random_seed(seed)
    head.standardize(codes)
    white, network, size = head.whiten(codes), head.network, head.latent_size
    rows = np.random.default_rng(seed)
    samplers = (
        lambda count: white[rows.integers(len(white), size=count)],
        normal_sampler(size, seed + 1),
    )
    network.trainable = True
    variables = network.trainable_variables
    fit = fitting.Fit(
        variables, head.loss, samplers, size, BATCH_SIZE, learning_rate=head.learning_rate
    )
    log_prob, best, highest = _scorer(network), network.get_weights(), -np.inf
    with tqdm(desc="prior", total=steps, unit=" updates", delay=2) as bar:
        for stop in np.unique(np.linspace(0, steps, _CHECKS + 1).astype(int)):
            fit.train(int(stop) - fit.steps, bar)
            likelihood = float(log_prob(head.whiten(held_out)).mean())
            if likelihood > highest:
                best, highest = network.get_weights(), likelihood
    network.set_weights(best)
    network.trainable = False


def _scorer(density: Any) -> Callable[[np.ndarray], np.ndarray]:
    """log r, compiled: codes `[N, D]` -> float64 `[N]`, nats."""
    compiled = tf.function(density.log_prob, reduce_retracing=True)

    def log_prob(z: np.ndarray) -> np.ndarray:
        blocks = (z[start : start + _ROWS] for start in range(0, len(z), _ROWS))
        parts = [compiled(tf.constant(block, tf.float32)).numpy() for block in blocks]
        return np.concatenate(parts).astype(np.float64)

    return log_prob
