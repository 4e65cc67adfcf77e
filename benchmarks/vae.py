"""The VAE step against a hand-written one in TensorFlow, PyTorch's and JAX's, and its floor."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from benchmarks.operations import operations_per_second
from benchmarks.peers import plain_tensorflow
from benchmarks.peers.specification import SPECIFICATIONS, Specification
from benchmarks.subjects import BATCH_SIZE, compiled, images, zoo_step
from benchmarks.timing import Comparison, interleaved, seconds

STEPS, REPEATS = 5, 7
FLOORS = {"color_mnist": "at most 1.25", "cifar10": "at most 1.4"}


def run() -> list[Comparison]:
    """Five rows per family."""
    return [row for name in SPECIFICATIONS for row in _compare(name, SPECIFICATIONS[name])]


def _compare(name: str, spec: Specification) -> list[Comparison]:
    ours = zoo_step(compiled("vae", spec), spec)
    what = f"VAE step, {name} networks, batch {BATCH_SIZE}"

    def against(peer: str, theirs: Callable[[], float], target: str) -> Comparison:
        pairs = interleaved(lambda: seconds(ours, STEPS), theirs, REPEATS)
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
