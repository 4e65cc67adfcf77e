"""A VAE step as one writes it in JAX: pure functions, one compiled program."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.peers.specification import Specification

_LAYOUT = ("NHWC", "HWIO", "NHWC")
_MOMENTUM, _EPSILON = 0.9, 1e-5  # of batch norm


def vae_step(spec: Specification, rate: float = 5e-4) -> Callable[[np.ndarray], Any]:
    """A VAE step with a Gaussian posterior and Bernoulli pixels; it keeps its state."""
    parameters, moving = _initial(spec)
    state = [parameters, moving, *(jax.tree.map(jnp.zeros_like, parameters) for _ in range(2)), 0.0]

    @jax.jit
    def update(state: list, images: jax.Array) -> tuple[list, jax.Array]:
        parameters, moving, first, second, step = state
        step = step + 1
        key = jax.random.fold_in(jax.random.key(0), step.astype(jnp.int32))
        loss = functools.partial(_loss, spec, moving=moving, images=images, key=key)
        (value, moving), gradients = jax.value_and_grad(loss, has_aux=True)(parameters)
        first = jax.tree.map(lambda m, g: 0.5 * m + 0.5 * g, first, gradients)
        second = jax.tree.map(lambda v, g: 0.9 * v + 0.1 * g**2, second, gradients)
        size = rate * jnp.sqrt(1 - 0.9**step) / (1 - 0.5**step)
        parameters = jax.tree.map(
            lambda p, m, v: p - size * m / (jnp.sqrt(v) + 1e-8), parameters, first, second
        )
        return [parameters, moving, first, second, step], value

    def step(images: np.ndarray) -> Any:
        state[:], value = update(state, images)
        return value.block_until_ready()

    return step


def _loss(spec: Specification, parameters: dict, moving: dict, images: Any, key: Any) -> Any:
    moved: dict[str, Any] = {}
    norm = functools.partial(_batch_norm, parameters, moving, moved)
    x = 2 * images - 1
    for i, (_, _, strides) in enumerate(spec.encoder):
        kernel = parameters[f"down_{i}"]
        x = jax.lax.conv_general_dilated(
            x, kernel, (strides, strides), "SAME", dimension_numbers=_LAYOUT
        )
        x = jax.nn.relu(norm(f"down_{i}", x))
    mean, log_stddev = jnp.split(x.reshape(len(x), -1) @ parameters["code"], 2, axis=1)
    z = mean + jnp.exp(log_stddev) * jax.random.normal(key, mean.shape)
    side, maps = spec.start
    x = (z @ parameters["start"]).reshape(-1, side, side, maps)
    for i, (_, _, strides) in enumerate(spec.decoder):
        x = jax.nn.relu(norm(f"up_{i}", x))
        kernel = parameters[f"up_{i}"]
        x = jax.lax.conv_transpose(x, kernel, (strides, strides), "SAME", dimension_numbers=_LAYOUT)
    cross_entropy = jax.nn.softplus(x) - images * x
    kl = 0.5 * (mean**2 + jnp.exp(2 * log_stddev) - 1 - 2 * log_stddev)
    return (cross_entropy.sum() + kl.sum()) / len(images), moved


def _batch_norm(parameters: dict, moving: dict, moved: dict, name: str, x: Any) -> Any:
    scale, offset = parameters[f"{name}_norm"]
    mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
    now = jnp.stack([mean, variance])
    moved[name] = _MOMENTUM * moving[name] + (1 - _MOMENTUM) * now
    return (x - mean) * jax.lax.rsqrt(variance + _EPSILON) * scale + offset


def _initial(spec: Specification) -> tuple[dict, dict]:
    """Parameters and moving statistics."""
    rng = np.random.default_rng(0)

    def kernel(*shape: int) -> jax.Array:
        return jnp.asarray(rng.normal(0, 0.05, shape).astype(np.float32))

    side, start = spec.start
    parameters = {
        "code": kernel(spec.features(spec.encoder), 2 * spec.latent_size),
        "start": kernel(spec.latent_size, side * side * start),
    }
    moving = {}
    for kind, stack, inputs in (("down", spec.encoder, 3), ("up", spec.decoder, start)):
        for i, (maps, size, _) in enumerate(stack):
            parameters[f"{kind}_{i}"] = kernel(size, size, inputs, maps)
            of_norm = maps if kind == "down" else inputs
            ones, zeros = jnp.ones(of_norm), jnp.zeros(of_norm)
            parameters[f"{kind}_{i}_norm"] = jnp.stack([ones, zeros])
            moving[f"{kind}_{i}"] = jnp.stack([zeros, ones])
            inputs = maps
    return parameters, moving
