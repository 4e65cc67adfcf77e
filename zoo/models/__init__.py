"""The models, each in a file that reads like its equations."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from zoo.config import ModelConfig, RunConfig, TrainingConfig
from zoo.data.images import ImageDataset
from zoo.errors import UsageError, expected_of
from zoo.registry import EX_POST_PRIORS, INSTRUMENTS, MODELS, look_up

if TYPE_CHECKING:
    from zoo.models.base import PlayerModel
    from zoo.networks.own import OwnNetworks


def model_class(name: str) -> type[PlayerModel]:
    """The class of a model; raises `UsageError` for an unknown name."""
    return look_up("model", name, MODELS | INSTRUMENTS)


def resolve(
    config: RunConfig, dataset: ImageDataset, networks: Mapping[str, Any] | None = None
) -> RunConfig:
    """`config` with all that the model has a default for filled in: its options, a rate per player
    and how it changes with the step.

    Args:
        config: as it was given.
        dataset: what it is to be trained on.
        networks: Keras models by part, in the place of a family's; see `GenerativeModel`.

    Raises:
        UsageError: the model is unknown, a setting does not apply to it, its batch is too small, or
            its prior is one that is fitted to a trained run.
    """
    from zoo.models.schedules import resolve_schedule

    if config.model.prior in EX_POST_PRIORS:
        raise UsageError(
            f"prior={config.model.prior} is fitted to a run that is trained, and no run with it is "
            "trained further: zoo-fit-prior makes one"
        )
    cls, training = model_class(config.model.model), config.training
    if training.batch_size < cls.least_batch_size:
        raise UsageError(
            f"batch_size={training.batch_size} is too small for {config.model.model}, which takes "
            f"statistics of a batch: expected at least {cls.least_batch_size}"
        )
    model = cls.resolve_for(config.model, dataset, own_networks(config.model, networks))
    players = cls.players_of(model)
    rates = cls.resolve_learning_rate(training.learning_rate, players)
    schedule = resolve_schedule(training, cls.schedule)
    _check_best(model.model, (*cls.terms, *(f"{player}_loss" for player in players)), training)
    return dataclasses.replace(
        config,
        model=model,
        training=dataclasses.replace(training, learning_rate=rates, **schedule),
    )


def own_networks(config: ModelConfig, networks: Mapping[str, Any] | None) -> OwnNetworks | None:
    """Keras models by part as those of a model's own; None for none."""
    from zoo.networks.own import OwnNetworks

    cls = model_class(config.model)
    return OwnNetworks(config.model, cls.players, networks) if networks else None


def _check_best(model: str, terms: Sequence[str], training: TrainingConfig) -> None:
    """Raises `UsageError` where the best checkpoint is to be of a term that the model lacks."""
    if training.keep_best is not None and training.keep_best not in terms:
        raise UsageError(
            f"keep_best={training.keep_best!r} is no term of {model}: "
            f"{expected_of(training.keep_best, terms)}"
        )


def build_model(
    config: ModelConfig,
    image_shape: tuple[int, int, int],
    seed: int = 0,
    dtype_policy: str = "float32",
    networks: Mapping[str, Any] | None = None,
) -> PlayerModel:
    """A new model with initial weights that follow from `seed`, but for `networks` of one's own.

    Raises:
        UsageError: as `zoo.models.base.PlayerModel`, or the model is unknown.
    """
    cls, settings = model_class(config.model), {**config.chosen(), **(networks or {})}
    return cls(image_shape=image_shape, seed=seed, dtype_policy=dtype_policy, **settings)
