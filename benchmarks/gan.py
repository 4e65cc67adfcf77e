"""Steps of the adversarial models against naive, tutorial and PyTorch forms, on equal networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.peers import plain_tensorflow
from benchmarks.peers.specification import COLOR_MNIST, SPECIFICATIONS
from benchmarks.subjects import compiled, images, naive_step, step_input, zoo_step
from benchmarks.timing import Comparison, interleaved, seconds

STEPS, REPEATS = 3, 5
TOLERANCE = 1e-4  # of the largest entry of a gradient


def run() -> list[Comparison]:
    """Two rows against the naive form, one against PyTorch, two per family against tutorials."""
    rows = [_naive(model) for model in ("vgh_plus_plus", "veegan")]
    rows.append(_torch())
    for family, spec in SPECIFICATIONS.items():
        for name, peer, target in (
            ("dcgan", plain_tensorflow.dcgan_step(spec), "0.75"),
            ("wgan_gp", plain_tensorflow.wgan_gp_step(spec), "0.85"),
        ):
            model = compiled(name, spec)
            ours, theirs = zoo_step(model, spec), _call(peer, step_input(model, spec))
            rows.append(
                _row(f"{name} step, {family}", "Keras's tutorial form", ours, theirs, target)
            )
    return rows


def _row(
    what: str, peer: str, ours: Callable[[], Any], theirs: Callable[[], Any], target: str
) -> Comparison:
    pairs = interleaved(
        lambda: seconds(ours, STEPS), lambda: seconds(theirs, STEPS), repeats=REPEATS
    )
    return Comparison(what, peer, pairs, f"at most {target}")


def _call(step: Callable[[tf.Tensor], tf.Tensor], batch: tf.Tensor) -> Callable[[], Any]:
    return lambda: step(batch).numpy()


def _naive(model: str) -> Comparison:
    """Raises `AssertionError` where the two forms give other gradients."""
    one, twin = compiled(model, COLOR_MNIST), compiled(model, COLOR_MNIST)
    ours, theirs = zoo_step(one, COLOR_MNIST), naive_step(twin, COLOR_MNIST)
    ours(), theirs()
    for player in one.players:
        # After one step, Adam's moments are the gradients and their squares.
        moments = (m.optimizers[player].variables for m in (one, twin))
        for values, others in zip(*moments, strict=True):
            tolerance = TOLERANCE * np.abs(values.numpy()).max()
            np.testing.assert_allclose(others, values, rtol=0, atol=tolerance)
    return _row(f"{model} step", "a tape and a forward pass per player", ours, theirs, "0.65")


def _torch() -> Comparison:
    import torch

    from benchmarks.peers import plain_torch

    step = plain_torch.alpha_gan_step(COLOR_MNIST)
    batch = torch.from_numpy(images(COLOR_MNIST).transpose(0, 3, 1, 2).copy())
    ours = zoo_step(compiled("vgh_plus_plus", COLOR_MNIST), COLOR_MNIST)
    peer = "PyTorch, alternating updates"
    return _row("vgh_plus_plus step", peer, ours, lambda: step(batch), "0.5")
