"""The models, each in a file that reads like its equations."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from zoo.config import ModelConfig, RunConfig
from zoo.data.images import ImageDataset
from zoo.errors import UsageError
from zoo.registry import INSTRUMENTS, MODELS, look_up

if TYPE_CHECKING:
    from zoo.models.base import PlayerModel


def model_class(name: str) -> type[PlayerModel]:
    """The class of a model; raises `UsageError` for an unknown name."""
    return look_up("model", name, MODELS | INSTRUMENTS)


def resolve(config: RunConfig, dataset: ImageDataset) -> RunConfig:
    """`config` with all that the model has a default for filled in: its options, a rate per player.

    Raises:
        UsageError: the model is unknown or a setting does not apply to it.
    """
    cls, training = model_class(config.model.model), config.training
    rates = cls.resolve_learning_rate(training.learning_rate)
    return dataclasses.replace(
        config,
        model=cls.resolve_for(config.model, dataset),
        training=dataclasses.replace(training, learning_rate=rates),
    )


def build_model(
    config: ModelConfig,
    image_shape: tuple[int, int, int],
    seed: int = 0,
    dtype_policy: str = "float32",
) -> PlayerModel:
    """A new model with initial weights that follow from `seed`.

    Sets the global seeds of Python, NumPy and TensorFlow, from which Keras draws initial weights.

    Raises:
        UsageError: the model is unknown, a setting does not apply to it, the shape is none of
            images, or Keras runs on another backend than TensorFlow.
    """
    import keras

    from zoo.models.settings import keras_settings

    if keras.backend.backend() != "tensorflow":
        raise UsageError(
            f"Keras runs on {keras.backend.backend()}: the zoo needs KERAS_BACKEND=tensorflow, set "
            "before Keras is imported"
        )
    if len(image_shape) != 3 or not all(isinstance(n, int) and n > 0 for n in image_shape):
        raise UsageError(
            f"image_shape={image_shape!r} is not accepted: expected (height, width, channels)"
        )
    cls = model_class(config.model)
    keras.utils.set_random_seed(seed)
    with keras_settings(dtype_policy):
        return cls(config, image_shape)
