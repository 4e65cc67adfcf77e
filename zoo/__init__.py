"""A model zoo of variational autoencoders, GANs and the hybrids between them.

    import zoo

    model = zoo.create_model("vae", dataset="color_mnist_mini", latent_size=50)
    run = zoo.train("runs/vae", model="vae", dataset="color_mnist_mini", steps=1000)
    run = zoo.load_run("runs/vae")

Nothing heavy is imported before it is used.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.config import RunConfig
    from zoo.errors import UsageError
    from zoo.registry import DATASETS, MODELS
    from zoo.run import Run, load_run

# Before Keras is imported, which else would ask ~/.keras/keras.json.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

__all__ = [
    "DATASETS",
    "MODELS",
    "Run",
    "RunConfig",
    "UsageError",
    "__version__",
    "create_model",
    "load_run",
    "train",
]

_HOMES = {
    "DATASETS": "zoo.registry",
    "MODELS": "zoo.registry",
    "Run": "zoo.run",
    "RunConfig": "zoo.config",
    "UsageError": "zoo.errors",
    "load_run": "zoo.run",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from zoo.run import versions

        return versions().get("distribution-matching-zoo", "unknown")
    if name not in _HOMES:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def create_model(
    model: str,
    *,
    dataset: str | None = None,
    image_shape: tuple[int, int, int] | None = None,
    seed: int = 0,
    dtype_policy: str = "float32",
    **settings: Any,
) -> Any:
    """A new, untrained model.

    Args:
        model: its name, one of `MODELS`.
        dataset: one of `DATASETS` whose images have a shape of their own; `color_mnist_mini` where
            no `image_shape` is given either.
        image_shape: `(H, W, C)` with H = W of 28, 32, 64 or 128.
        seed: of the initial weights.
        dtype_policy: "float32" or "mixed_bfloat16".
        **settings: of `zoo.config.ModelConfig`.

    Raises:
        UsageError: a setting is unknown or does not apply to the model.
    """
    from zoo.config import ModelConfig, TrainingConfig
    from zoo.errors import UsageError
    from zoo.models import build_model
    from zoo.registry import DATASETS

    training = TrainingConfig(seed=seed, dtype_policy=dtype_policy)
    if dataset is not None:
        own = DATASETS[dataset].image_shape if dataset in DATASETS else None
        if own is None or image_shape is not None:
            known = ", ".join(name for name, source in DATASETS.items() if source.image_shape)
            raise UsageError(
                f"dataset={dataset!r}, image_shape={image_shape!r}: expected a data set whose "
                f"images have a shape of their own ({known}), or a shape"
            )
        image_shape = own
    config = ModelConfig.create(model=model, **settings)
    return build_model(
        config,
        DATASETS["color_mnist_mini"].image_shape if image_shape is None else image_shape,
        training.seed,
        training.dtype_policy,
    )


def train(run_dir: str | Path, **settings: Any) -> Run:
    """Trains a run, or goes on with it, and returns it.

    Args:
        run_dir: its folder.
        **settings: of `zoo.config.RunConfig`, flat: `model="vae", steps=1000`. Those that are not
            given are as the run has them where there is one, so that `steps=2000` alone goes on.

    Raises:
        UsageError: see `zoo.training.loop.train`.
    """
    from zoo.run import config_for
    from zoo.training.loop import train as train_run

    return train_run(config_for(run_dir, settings), run_dir).run
