"""A model zoo of variational autoencoders, GANs and the hybrids between them.

    import zoo

    model = zoo.VAE(latent_size=50, image_shape=(28, 28, 3))  # as every class of zoo.MODELS
    run = zoo.train("runs/vae", model="vae", dataset="color_mnist_mini", steps=1000)
    run = zoo.load_run("runs/vae")
    records = zoo.evaluate(run, metrics=["elbo"])
    images = zoo.sample(run, 16, seed=0)["images"]
    folder = zoo.export_run(run, "served", "vae")
    model = zoo.from_pretrained("color_mnist_mini/vae")

Nothing heavy is imported before it is used.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from zoo.registry import MODELS

if TYPE_CHECKING:
    from zoo.config import RunConfig
    from zoo.doors import create_model, evaluate, fit_prior, load_dataset, load_model, sample, train
    from zoo.errors import UsageError
    from zoo.pretrained import from_pretrained, open_pretrained
    from zoo.pretrained.saving import save_pretrained
    from zoo.registry import DATASETS
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
    "evaluate",
    "export_run",
    "fit_prior",
    "from_pretrained",
    "load_dataset",
    "load_model",
    "load_run",
    "open_pretrained",
    "sample",
    "save_pretrained",
    "start_tensorflow",
    "train",
]

# `export_run` and `start_tensorflow` are of the floors above, which nothing here imports before
# they are asked for.
_HOMES = {
    "DATASETS": "zoo.registry",
    "Run": "zoo.run",
    "RunConfig": "zoo.config",
    "UsageError": "zoo.errors",
    "create_model": "zoo.doors",
    "evaluate": "zoo.doors",
    "export_run": "zoo.export.saved_model",
    "fit_prior": "zoo.doors",
    "from_pretrained": "zoo.pretrained",
    "load_dataset": "zoo.doors",
    "load_model": "zoo.doors",
    "load_run": "zoo.run",
    "open_pretrained": "zoo.pretrained",
    "sample": "zoo.doors",
    "save_pretrained": "zoo.pretrained.saving",
    "start_tensorflow": "zoo.flags.program",
    "train": "zoo.doors",
}
# The classes of the models: zoo.VAE, ...
_HOMES |= {path.rsplit(".", 1)[1]: path.rsplit(".", 1)[0] for path in MODELS.values()}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from zoo.versions import versions

        return versions().get("distribution-matching-zoo", "unknown")
    if name not in _HOMES:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, "__version__"})
