"""The models, each in a file that reads like its equations."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from zoo.config import ModelConfig, RunConfig
from zoo.data.images import ImageDataset
from zoo.errors import UsageError
from zoo.registry import EX_POST_PRIORS, INSTRUMENTS, MODELS, look_up

if TYPE_CHECKING:
    from zoo.models.base import PlayerModel


def model_class(name: str) -> type[PlayerModel]:
    """The class of a model; raises `UsageError` for an unknown name."""
    return look_up("model", name, MODELS | INSTRUMENTS)


def resolve(config: RunConfig, dataset: ImageDataset) -> RunConfig:
    """`config` with all that the model has a default for filled in: its options, a rate per player.

    Raises:
        UsageError: the model is unknown, a setting does not apply to it, or its prior is one that
            is fitted to a trained run.
    """
    if config.model.prior in EX_POST_PRIORS:
        raise UsageError(
            f"prior={config.model.prior} is fitted to a run that is trained, and no run with it is "
            "trained further: zoo-fit-prior makes one"
        )
    cls, training = model_class(config.model.model), config.training
    model = cls.resolve_for(config.model, dataset)
    rates = cls.resolve_learning_rate(training.learning_rate, cls.players_of(model))
    return dataclasses.replace(
        config,
        model=model,
        training=dataclasses.replace(training, learning_rate=rates),
    )


def build_model(
    config: ModelConfig,
    image_shape: tuple[int, int, int],
    seed: int = 0,
    dtype_policy: str = "float32",
) -> PlayerModel:
    """A new model with initial weights that follow from `seed`.

    Raises:
        UsageError: as `zoo.models.base.PlayerModel`, or the model is unknown.
    """
    cls, settings = model_class(config.model), config.chosen()
    return cls(image_shape=image_shape, seed=seed, dtype_policy=dtype_policy, **settings)
