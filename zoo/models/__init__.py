"""The models by name. Adding one: its file, a preset, and a line here."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
from collections.abc import Iterator
from typing import Any

from zoo.config import ModelConfig, RunConfig
from zoo.errors import UsageError

MODELS = {
    "vae": "zoo.models.vae.VAE",
    "dcgan": "zoo.models.gan.DCGAN",
    "wgan_gp": "zoo.models.gan.WGANGP",
    "aae": "zoo.models.aae.AAE",
    "adversarial_vb": "zoo.models.adversarial_vb.AdversarialVB",
    "veegan": "zoo.models.veegan.VEEGAN",
    "vgh": "zoo.models.vgh.VGH",
    "vgh_plus_plus": "zoo.models.vgh.VGHPlusPlus",
}

# Trained as the models are, but none of them: what measures their samples.
INSTRUMENTS = {"classifier": "zoo.models.classifier.Classifier"}


def model_class(name: str) -> Any:
    """The class of a model; raises `UsageError` for an unknown name."""
    known = MODELS | INSTRUMENTS
    if name not in known:
        raise UsageError(f"model={name!r} is not known: expected one of {', '.join(known)}")
    module, attribute = known[name].rsplit(".", 1)
    return getattr(importlib.import_module(module), attribute)


def resolve(config: RunConfig, dataset: Any) -> RunConfig:
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


@contextlib.contextmanager
def _dtype_policy(name: str) -> Iterator[None]:
    """Layers made inside have this dtype policy; the caller's own comes back after."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def build_model(
    config: ModelConfig,
    image_shape: tuple[int, int, int],
    seed: int = 0,
    dtype_policy: str = "float32",
) -> Any:
    """A new model with initial weights that follow from `seed`.

    Sets the global seeds of Python, NumPy and TensorFlow, from which Keras draws initial weights.

    Raises:
        UsageError: the model is unknown or a setting does not apply to it.
    """
    import keras

    cls = model_class(config.model)
    keras.utils.set_random_seed(seed)
    with _dtype_policy(dtype_policy):
        return cls(config, image_shape)
