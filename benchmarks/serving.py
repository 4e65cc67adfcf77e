"""What exporting costs: latency against the function in process, size, and time to load."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.timing import Comparison, interleaved, seconds
from zoo.config import RunConfig
from zoo.data import load_dataset
from zoo.export.saved_model import export_saved_model
from zoo.models import build_model
from zoo.run import Run
from zoo.saved_model.signatures import signature_functions

ROWS = {1: (20, 41), 64: (1, 41)}  # calls per repeat and repeats, by batch size
LOADS = 3
MEGABYTE = 1e6


def run() -> list[Comparison]:
    """Latency of two batch sizes, what seeds cost, the size of the weights, and loading."""
    config = RunConfig.create(model="vae")
    dataset = load_dataset(config.data)
    with tempfile.TemporaryDirectory() as folder:
        made = Run.create_or_resume(
            f"{folder}/run", config, dataset.fingerprint, dataset.image_shape
        )
        untrained = build_model(config.model, dataset.image_shape)
        untrained.step.assign(1)
        made.checkpoints.save(untrained)
        opened = Run.open(made.path)
        exported = export_saved_model(opened, folder, "vae")
        loaded = tf.saved_model.load(str(exported))
        rows = [_decode_against_function(loaded, opened.model, count) for count in ROWS]
        rows += [_sample_against_decode(loaded), _size(exported, opened.model)]
        return [*rows, _load(exported, made)]


def _decode_against_function(loaded: Any, model: Any, rows: int) -> Comparison:
    z = tf.random.stateless_normal([rows, model.latent_size], (0, 0))
    bare = tf.function(model.decode, input_signature=[tf.TensorSpec([None, model.latent_size])])
    exported = loaded.signatures["decode"]
    np.testing.assert_array_equal(exported(z=z)["images"], bare(z)["images"])
    calls, repeats = ROWS[rows]
    pairs = interleaved(
        lambda: seconds(lambda: exported(z=z), calls),
        lambda: seconds(lambda: bare(z), calls),
        repeats,
    )
    return Comparison(
        f"exported decode, batch {rows}", "bare tf.function in process", pairs, "at most 1.05"
    )


def _sample_against_decode(loaded: Any) -> Comparison:
    """`sample` is `decode` of codes that it draws from one seed a row."""
    sample, decode = loaded.signatures["sample"], loaded.signatures["decode"]
    rows = max(ROWS)
    seed = tf.range(rows)
    z = sample(seed=seed)["z"]
    calls, repeats = ROWS[rows]
    pairs = interleaved(
        lambda: seconds(lambda: sample(seed=seed), calls),
        lambda: seconds(lambda: decode(z=z), calls),
        repeats,
    )
    return Comparison(f"exported sample, batch {rows}", "exported decode", pairs, "at most 1.1")


def _size(exported: Path, model: Any) -> Comparison:
    files = (exported / "variables").glob("variables.data-*")
    stored = sum(file.stat().st_size for file in files)
    weights = sum(v.numpy().nbytes for p in model.players for v in getattr(model, p).weights)
    pairs = ((stored / MEGABYTE, weights / MEGABYTE),)
    return Comparison(
        "variables file", "weights of encoder and decoder", pairs, "at most 1.01", unit="MB"
    )


def _load(exported: Path, made: Run) -> Comparison:
    """To the first image, since a signature is traced or prepared on its first call."""

    def of_saved_model() -> Any:
        signatures = tf.saved_model.load(str(exported)).signatures
        return signatures["sample"](seed=tf.range(1))["images"].numpy()

    def of_run() -> Any:
        functions = signature_functions(Run.open(made.path).model)
        return functions["sample"](tf.range(1))["images"].numpy()

    pairs = interleaved(lambda: seconds(of_saved_model), lambda: seconds(of_run), LOADS, warm=True)
    return Comparison("loading a SavedModel, to the first image", "loading the run", pairs, "-")
