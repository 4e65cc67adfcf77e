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


def train(run_dir: str | Path, *, images: Any = None, labels: Any = None, **settings: Any) -> Run:
    """Trains a run, or goes on with it, and returns it.

    Args:
        run_dir: its folder.
        images: what to train on in the place of `dataset`: an array or a `tf.data.Dataset` of uint8
            or of floats in [0, 1], an `ImageDataset`, or the path of an array or of a folder. All
            but what a path names is written into the run folder, where the run finds it again.
        labels: classes `[N]` of an array.
        **settings: of `zoo.config.RunConfig`, flat: `model="vae", steps=1000`.

    Raises:
        UsageError: see `zoo.training.loop.train` and `zoo.data.given.dataset_of`.
    """
    from zoo.config import DataConfig, RunConfig
    from zoo.data import given
    from zoo.errors import UsageError
    from zoo.training.loop import train as train_run

    if images is None:
        if labels is not None:
            raise UsageError("labels are of images, and none were given")
        return train_run(RunConfig.create(**settings), run_dir).run
    if isinstance(images, (str, os.PathLike)):
        if labels is not None:
            raise UsageError("labels are of an array: expected them beside, or in, the files")
        settings = {**vars(given.config_of(images)), **settings}
        return train_run(RunConfig.create(**settings), run_dir).run
    for name in DataConfig.__dataclass_fields__:
        if name in settings:
            raise UsageError(f"{name}={settings[name]!r} does not apply to images that are given")
    config = RunConfig.create(**settings)
    return train_run(config, run_dir, given.dataset_of(images, labels)).run
