"""The VAE step against a hand-written one in TensorFlow, PyTorch's, JAX's and Keras's on JAX, and
its floor."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from benchmarks.operations import operations_per_second
from benchmarks.peers import plain_tensorflow
from benchmarks.peers.specification import SPECIFICATIONS, Specification
from benchmarks.subjects import BATCH_SIZE, compiled, images, zoo_step
from benchmarks.timing import Comparison, interleaved, seconds

ROOT = Path(__file__).parents[1]
STEPS, REPEATS = 5, 7
STARTS = 3  # repeats against a process that has to start each time
FLOORS = {"color_mnist": "at most 1.25", "cifar10": "at most 1.4"}


def run() -> list[Comparison]:
    """Six rows per family."""
    return [row for name in SPECIFICATIONS for row in _compare(name, SPECIFICATIONS[name])]


def _compare(name: str, spec: Specification) -> list[Comparison]:
    ours = zoo_step(compiled("vae", spec), spec)
    what = f"VAE step, {name} networks, batch {BATCH_SIZE}"

    def against(
        peer: str, theirs: Callable[[], float], target: str, repeats: int = REPEATS
    ) -> Comparison:
        pairs = interleaved(lambda: seconds(ours, STEPS), theirs, repeats)
        return Comparison(what, peer, pairs, target)

    plain, batch = plain_tensorflow.vae_step(spec), tf.constant(images(spec))
    return [
        against(
            "hand-written TensorFlow step",
            lambda: seconds(lambda: plain(batch).numpy(), STEPS),
            "at most 1.0",
        ),
        against("PyTorch, eager", _torch(spec), "at most 0.8"),
        against("PyTorch, torch.compile", _torch(spec, compiled=True), "at most 0.95"),
        against("JAX, jit", _jax(spec), "-"),
        against("Keras on JAX", lambda: _keras_on_jax(name), "-", STARTS),
        against(
            "its floating-point operations",
            lambda: spec.vae_operations(BATCH_SIZE) / operations_per_second(),
            FLOORS[name],
        ),
    ]


def _torch(spec: Specification, compiled: bool = False) -> Callable[[], float]:
    import torch

    from benchmarks.peers import plain_torch

    step = plain_torch.vae_step(spec, compiled)
    batch = torch.from_numpy(images(spec).transpose(0, 3, 1, 2).copy())
    return lambda: seconds(lambda: step(batch), STEPS)


def _jax(spec: Specification) -> Callable[[], float]:
    from benchmarks.peers import plain_jax

    step, batch = plain_jax.vae_step(spec), images(spec)
    return lambda: seconds(lambda: step(batch), STEPS)


def _keras_on_jax(family: str) -> float:
    """In a process of its own: Keras has one backend."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.peers.keras_on_jax", family, str(STEPS)],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": "jax"},
        check=True,
        capture_output=True,
        text=True,
    )
    return float(done.stdout.split()[-1])
