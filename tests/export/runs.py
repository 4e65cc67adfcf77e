"""Run folders to export, and inputs for their signatures."""

import numpy as np

from tests.models.training import trained
from tests.models.variants import TINY
from zoo.config import RunConfig
from zoo.run import Run

ROWS = 5
STEPS = 3
rng = np.random.default_rng(0)
INPUTS = {
    "images": (rng.integers(0, 256, (ROWS, 28, 28, 3)) / 255).astype(np.float32),
    "z": rng.standard_normal((ROWS, TINY["latent_size"])).astype(np.float32),
    "seed": np.array([1, -5, 7, 7, 2**31 - 1], np.int32),
}


def with_pixel(value):
    images = INPUTS["images"].copy()
    images[1, 3, 3, 0] = value
    return {"images": images}


# What every signature refuses: its name, a feed, and what the error says.
RANGE = "images must be finite and lie in"
GUARDS = {
    "nan": ("encode", with_pixel(np.nan), RANGE),
    "bright": ("encode", with_pixel(1.5), RANGE),
    "dark": ("elbo", with_pixel(-0.1) | {"seed": INPUTS["seed"]}, RANGE),
    "no images": ("encode", {"images": INPUTS["images"][:0]}, "images has no rows"),
    "no seeds": ("sample", {"seed": INPUTS["seed"][:0]}, "seed has no rows"),
    "no codes": ("decode", {"z": INPUTS["z"][:0]}, "z has no rows"),
    "infinite": ("decode", {"z": np.full((1, 3), np.inf, np.float32)}, "z must be finite"),
    "wide": (
        "decode",
        {"z": np.zeros((2, 4), np.float32)},
        r"not of the shape \[N, 3\]:\]? *\[2 4\]",
    ),
    "small": ("encode", {"images": INPUTS["images"][:, :20]}, r"not of the shape \[N, 28, 28, 3\]"),
    "flat": ("decode", {"z": INPUTS["z"][0]}, r"not of the shape \[N, 3\]"),
    "deep": ("sample", {"seed": INPUTS["seed"][:, None]}, r"not of the shape \[N\]"),
    "one seed": (
        "elbo",
        {"images": INPUTS["images"], "seed": INPUTS["seed"][:1]},
        "images and seed must have as many rows",
    ),
}


def trained_run(folder, variant):
    """A run folder with the one checkpoint of a trained model, and that model itself."""
    run = Run.create_or_resume(folder, RunConfig.create(**TINY, **variant), "none", (28, 28, 3))
    model = trained(variant, STEPS)
    run.checkpoints.save(model)
    return Run.open(folder), model


def make_run(folder, variant):
    """The folder of `trained_run` alone."""
    return trained_run(folder, variant)[0]
