"""Where a VAE step's time goes: `python -m benchmarks.profile` prints two tables per family.

The first leaves out, one by one, what the zoo does beyond a hand-written step. The second times
the parts one by one, layers forward and backward, against their floating-point operations at the
measured rate of a large float32 matrix product.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import keras
import numpy as np
import tensorflow as tf

from benchmarks.operations import operations_per_second
from benchmarks.peers import plain_tensorflow
from benchmarks.peers.specification import SPECIFICATIONS, Specification
from benchmarks.run import conditions
from benchmarks.subjects import BATCH_SIZE, compiled, images, zoo_step
from benchmarks.timing import seconds

REPEATS, CALLS = 25, 3


class GlobalNoise:
    """TensorFlow's own random numbers in place of the zoo's, which are functions of the row."""

    def __init__(self, seed: int, step: tf.Tensor, rows: int):
        self._rows = rows

    def normal(self, purpose: str, shape: tuple[int, ...]) -> tf.Tensor:
        """Standard normals `[rows, *shape]`."""
        return tf.random.normal([self._rows, *shape])


def main() -> None:
    """Prints the tables."""
    print(conditions())
    for family, spec in SPECIFICATIONS.items():
        print(f"{family}: the step, ms (median of {REPEATS})\n")
        show(medians(steps(spec)))
        parts = list(layers(spec))
        times = medians({name: call for name, call, _ in parts})
        rate = operations_per_second()
        floors = {name: 1e3 * operations / rate for name, _, operations in parts}
        print(f"\n{family}: the parts, ms, and in brackets at the rate of a matrix product\n")
        show({f"{name} ({floors[name]:.2f})": time for name, time in times.items()})
        print(f"sum: {sum(times.values()):.1f} ({sum(floors.values()):.1f})\n")


def medians(calls: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Milliseconds of each call, all measured in turn."""
    times = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(REPEATS):
        for name, call in calls.items():
            times[name].append(1e3 * seconds(call, CALLS))
    return {name: statistics.median(values) for name, values in times.items()}


def show(times: dict[str, float]) -> None:
    """One line each."""
    for name, time in times.items():
        print(f"  {name:<60} {time:7.2f}")


def steps(spec: Specification) -> dict[str, Callable[[], Any]]:
    """The zoo's step, the same less one of its services each, and the hand-written one."""
    by_hand, batch = plain_tensorflow.vae_step(spec), tf.constant(images(spec))
    return {
        "zoo": _step(spec),
        "zoo, no check for values that are not finite": _step(spec, _record_faults=lambda *_: None),
        "zoo, no metrics": _step(spec, _track=lambda losses, _: losses),
        "zoo, TensorFlow's random numbers": _step(spec, noise=GlobalNoise),
        "hand-written": lambda: by_hand(batch).numpy(),
    }


def _step(spec: Specification, noise: Any = None, **without: Any) -> Callable[[], Any]:
    model = compiled("vae", spec)
    for name, replacement in without.items():
        setattr(model, name, replacement)
    step = zoo_step(model, spec)
    if noise is not None:
        with mock.patch("zoo.models.base.step_noise", noise):
            step()  # traces it
    return step


def layers(spec: Specification) -> Iterator[tuple[str, Callable[[], Any], float]]:
    """Name, call and operations of each part: convolutions, what stands behind them, dense layers,
    likelihood and optimiser."""
    rng = np.random.default_rng(0)
    side, inputs = spec.side, 3
    for transposed, stack in ((False, spec.encoder), (True, spec.decoder)):
        if transposed:
            side, inputs = spec.start
            yield from _dense(spec.latent_size, side**2 * inputs)
            yield from _batch_norm("decoder", rng, side, inputs)
        for i, (maps, kernel, strides) in enumerate(stack):
            x = rng.random((BATCH_SIZE, side, side, inputs), np.float32)
            kind = keras.layers.Conv2DTranspose if transposed else keras.layers.Conv2D
            layer = kind(maps, kernel, strides, padding="same", use_bias=False)
            smaller = side if transposed else -(-side // strides)
            side = side * strides if transposed else smaller
            products = 2.0 * BATCH_SIZE * smaller**2 * kernel**2 * inputs * maps
            first = i == 0 and not transposed
            name = f"{'up' if transposed else 'down'} {inputs} to {maps} maps, {kernel}x{kernel}"
            name = f"{name}, stride {strides}, to {side}x{side}"
            yield name, _both_ways(layer, x, first), (2 if first else 3) * products
            if not transposed or i < len(stack) - 1:
                yield from _batch_norm("decoder" if transposed else "encoder", rng, side, maps)
            inputs = maps
        if not transposed:
            yield from _dense(spec.features(stack), 2 * spec.latent_size)
    logits = rng.random((BATCH_SIZE, side, side, inputs), np.float32)
    likelihood = keras.layers.Lambda(lambda x: x * logits - tf.nn.softplus(x))
    yield "log-likelihood", _both_ways(likelihood, logits), 0
    yield "Adam", _adam(compiled("vae", spec)), 0


def _dense(inputs: int, outputs: int) -> Iterator[tuple[str, Callable[[], Any], float]]:
    x = np.ones((BATCH_SIZE, inputs), np.float32)
    call = _both_ways(keras.layers.Dense(outputs, use_bias=False), x)
    yield f"dense {inputs} to {outputs}", call, 6.0 * x.size * outputs


def _batch_norm(
    where: str, rng: np.random.Generator, side: int, maps: int
) -> Iterator[tuple[str, Callable[[], Any], float]]:
    after = keras.Sequential([keras.layers.BatchNormalization(), keras.layers.ReLU()])
    x = rng.random((BATCH_SIZE, side, side, maps), np.float32)
    name = f"{where}: batch norm and ReLU, {maps} maps of {side}x{side}"
    yield name, _both_ways(after, x), 0


def _adam(model: Any) -> Callable[[], Any]:
    gradients = {
        player: [tf.ones(v.shape) for v in model.player_variables(player)]
        for player in model.players
    }

    @tf.function
    def run() -> None:
        for player, optimizer in model.optimizers.items():
            optimizer.apply(gradients[player], model.player_variables(player))

    return run


def _both_ways(layer: Any, x: np.ndarray, first: bool = False) -> Callable[[], Any]:
    """Forward and backward; the first layer needs no gradient of its input."""
    x = tf.constant(x)
    layer.build(x.shape)
    upstream = tf.random.normal(layer(x).shape)

    @tf.function
    def run() -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True) if isinstance(layer, keras.Sequential) else layer(x)
        sources = [v.value for v in layer.trainable_variables] + ([] if first else [x])
        return tape.gradient(y, sources, output_gradients=upstream)

    return lambda: run()[-1].numpy()


if __name__ == "__main__":
    main()
