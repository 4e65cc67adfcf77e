"""The inference functions of a model: what a SavedModel carries and what evaluation calls.

One definition serves both, so that a number measured in process is the number a server would give.
Every input and output has a leading batch dimension, every function returns a dict, and one row's
result never depends on the other rows: randomness comes from one seed per row.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import tensorflow as tf

from zoo.errors import UsageError
from zoo.noise import GivenNoise, row_noise
from zoo.saved_model.contract import PORTABLE, SIGNATURES

if TYPE_CHECKING:
    from zoo.distributions.priors import Prior
    from zoo.models.base import PlayerModel

Tensors = dict[str, tf.Tensor]


def signature_functions(model: PlayerModel) -> dict[str, tf.types.experimental.PolymorphicFunction]:
    """The `tf.function`s of the signatures that `model` can honour, by name, float32 in and out.

    Inputs and outputs are those of `zoo.saved_model.contract`. Equal seeds give `elbo` the draw of
    z that `sample_posterior` gives. A batch that is empty or of the wrong shape, and values out of
    range, fail with a clear message in every runtime that executes the graph.

    Raises:
        UsageError: it is no generative model.
    """
    if not model.available_signatures:
        raise UsageError(
            f"a {model.name} makes no images and has no signatures: expected a run of a generative "
            "model; zoo-evaluate takes a classifier as --feature_extractor"
        )
    prior, functions = model.prior().fixed(), {}
    for name in model.available_signatures:
        inputs = SIGNATURES[name].inputs
        method = getattr(model, name)
        function = _seeded(method) if inputs[-1] == "seed" else method
        function = _with_prior(model, prior, function)
        functions[name] = _function(function, _specs(model, *inputs), guarded=True)
    return functions


def portable_functions(
    model: PlayerModel,
) -> dict[str, tf.types.experimental.PolymorphicFunction]:
    """The `tf.function`s of `model` for runtimes other than TensorFlow, float32 in and out.

    `decode(z [N, D])`, `encode(images [N, H, W, C])` and `elbo_noise(images, noise [N, K])`: `elbo`
    with the standard normals as an input, since no other runtime has our generator. The first
    columns draw z from q(z|x), the rest serve a model's own estimate of its KL; a model whose ELBO
    takes no noise has no such input. Nothing is guarded: these runtimes have no assertions.
    """

    prior = model.prior().fixed()

    def elbo_noise(images: tf.Tensor, noise: tf.Tensor) -> Tensors:
        with model.fixed_prior(prior):
            return model.elbo(images, GivenNoise(noise), portable=True)

    def elbo_without_noise(images: tf.Tensor) -> Tensors:
        return elbo_noise(images, tf.zeros([tf.shape(images)[0], 0]))

    images = _specs(model, "images")
    every = {"decode": (model.decode, _specs(model, "z")), "encode": (model.encode, images)}
    if "elbo" in model.available_signatures:
        columns = _noise_columns(model)
        noise = tf.TensorSpec([None, columns], tf.float32, name="noise")
        with_noise, without = (elbo_noise, [*images, noise]), (elbo_without_noise, images)
        every["elbo_noise"] = with_noise if columns else without
    names = [PORTABLE[name] for name in model.available_signatures if name in PORTABLE]
    return {name: _function(*every[name]) for name in names}


def _specs(model: PlayerModel, *names: str) -> list[tf.TensorSpec]:
    """Of inputs of the contract."""
    rows = {"images": model.image_shape, "z": (model.latent_size,), "seed": ()}
    dtypes = {"seed": tf.int32}
    return [
        tf.TensorSpec([None, *rows[name]], dtypes.get(name, tf.float32), name=name)
        for name in names
    ]


def _seeded(method: Callable[..., Tensors]) -> Callable[..., Tensors]:
    """A method that takes noise as a function that takes a seed per row."""
    return lambda *inputs: method(*inputs[:-1], seed=row_noise(inputs[-1]))


def _with_prior(
    model: PlayerModel, prior: Prior, method: Callable[..., Tensors]
) -> Callable[..., Tensors]:
    """A method whose graph has p(z) as it is, not what it is computed by."""

    def function(*inputs: tf.Tensor) -> Tensors:
        with model.fixed_prior(prior):
            return method(*inputs)

    return function


def _noise_columns(model: PlayerModel) -> int:
    """How many standard normals a row of `model.elbo` takes: what it asks for when it is traced."""
    asked = []

    def trace(images: tf.Tensor, values: tf.Tensor) -> None:
        noise = GivenNoise(values)
        model.elbo(images, noise)
        asked.append(noise.columns)

    values = tf.TensorSpec([None, None], tf.float32)
    tf.function(trace).get_concrete_function(*_specs(model, "images"), values)
    return asked[-1]


def _function(
    function: Callable[..., Tensors], specs: Sequence[tf.TensorSpec], guarded: bool = False
) -> tf.types.experimental.PolymorphicFunction:
    """`function` as a `tf.function` of these inputs, with float32 outputs."""

    def wrapped(*inputs: tf.Tensor) -> Tensors:
        named = {spec.name: (value, spec) for spec, value in zip(specs, inputs, strict=True)}
        with tf.control_dependencies(_guards(named) if guarded else []):
            outputs = function(*map(tf.identity, inputs))
        return {name: tf.cast(value, tf.float32) for name, value in outputs.items()}

    # The parameters' names become the names of the inputs.
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter(spec.name, kind) for spec in specs]
    wrapped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # PEP 362
    return tf.function(wrapped, input_signature=specs)


# ---- Guards ------------------------------------------------------------------------------------


def _guards(inputs: Mapping[str, tuple[tf.Tensor, tf.TensorSpec]]) -> list[tf.Operation]:
    """What has to hold of the inputs of a signature."""
    guards = [_refuse_shape(value, spec) for value, spec in inputs.values()]
    if "images" in inputs:
        images = _flat(inputs["images"][0])
        # NaN compares false, so it fails here too.
        inside = tf.reduce_all((images >= 0.0) & (images <= 1.0))
        guards.append(_assert(inside, "images must be finite and lie in [0, 1]"))
    if "z" in inputs:
        finite = tf.reduce_all(tf.math.is_finite(_flat(inputs["z"][0])))
        guards.append(_assert(finite, "z must be finite"))
    if {"images", "seed"} <= set(inputs):
        # One seed would broadcast, and make every row's result depend on the others'.
        rows = [tf.shape(_opaque(inputs[name][0]))[0] for name in ("images", "seed")]
        guards.append(_assert(tf.equal(*rows), "images and seed must have as many rows:", *rows))
    return guards


def _refuse_shape(value: tf.Tensor, spec: tf.TensorSpec) -> tf.Operation:
    """Fails on another shape than the spec's and on a batch of no rows.

    TensorFlow itself checks neither: a wrong shape fails deep in a network or not at all, and some
    CPU kernels return a wrong shape for zero rows.
    """
    shape = tf.shape(_opaque(value))
    wanted = tf.concat([tf.maximum(shape[:1], 1), spec.shape[1:]], axis=0)
    same = tf.raw_ops.Equal(x=shape, y=wanted, incompatible_shape_error=False)
    right = tf.reduce_all(same) & tf.equal(tf.size(shape), spec.shape.rank)
    dimensions = ", ".join(["N", *map(str, spec.shape[1:])])
    message = f"{spec.name} has no rows or is not of the shape [{dimensions}]:"
    return _assert(right, message, shape)


def _opaque(value: tf.Tensor) -> tf.Tensor:
    """`value` without its static shape, from which the check of its shape would be folded away."""
    return tf.raw_ops.PlaceholderWithDefault(input=value, shape=tf.TensorShape(None))


def _flat(value: tf.Tensor) -> tf.Tensor:
    """All entries in a row: over the axes that a value should have, a reduction would fail on
    another shape before the check of it."""
    return tf.reshape(value, [-1])


def _assert(condition: tf.Tensor, message: str, *seen: tf.Tensor) -> tf.Operation:
    return tf.debugging.Assert(condition, [message, *seen])
