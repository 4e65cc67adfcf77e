"""A model zoo of variational autoencoders, GANs and the hybrids between them.

    import zoo

    model = zoo.create_model("vae", dataset="color_mnist_mini", latent_size=50)
    run = zoo.train("runs/vae", model="vae", dataset="color_mnist_mini", steps=1000)
    run = zoo.load_run("runs/vae")

Nothing heavy is imported before it is used.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zoo.config import DATASETS, RunConfig
from zoo.errors import UsageError
from zoo.models import MODELS
from zoo.run import Run, load_run, versions

__version__ = versions().get("distribution-matching-zoo", "unknown")
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


def create_model(
    model: str, *, image_shape: tuple[int, int, int] = (28, 28, 3), **settings: Any
) -> Any:
    """A new, untrained model.

    Args:
        model: its name, one of `MODELS`.
        image_shape: `(H, W, C)` with H = W of 28, 32, 64 or 128.
        **settings: of `zoo.config.ModelConfig` and, of the training's, `seed` and `dtype_policy`.

    Raises:
        UsageError: a setting is unknown or does not apply to the model.
    """
    from zoo.models import build_model

    config = RunConfig.create(model=model, **settings)
    training = config.training
    return build_model(config.model, image_shape, training.seed, training.dtype_policy)


def train(run_dir: str | Path, **settings: Any) -> Run:
    """Trains a run, or goes on with it, and returns it.

    Args:
        run_dir: its folder.
        **settings: of `zoo.config.RunConfig`, flat: `model="vae", steps=1000`.

    Raises:
        UsageError: see `zoo.training.loop.train`.
    """
    from zoo.training.loop import train as train_run

    return train_run(RunConfig.create(**settings), run_dir).run
