"""The inference functions of a model: what a SavedModel carries and what evaluation calls.

One definition serves both, so that a number measured in process is the number a server would give.
Every input and output has a leading batch dimension, every function returns a dict, and one row's
result never depends on the other rows: randomness comes from one seed per row.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from zoo.errors import UsageError
from zoo.noise import row_noise

WHY_NOT = {
    "encode": "it has no encoder",
    "sample_posterior": "it has no posterior",
    "elbo": "it has no trackable bound",
    "to_base": "it has no flow, or one that depends on the image (flow_context)",
}


def _refuse_empty(rows: tf.Tensor) -> tf.Operation:
    # Some CPU kernels return a wrong shape for zero rows instead of failing.
    return tf.debugging.Assert(
        tf.shape(rows)[0] > 0, ["the batch has no rows: send at least one"], name="no_rows"
    )


def _refuse_bad_images(images: tf.Tensor) -> tf.Operation:
    # NaN compares false, so it fails here too.
    inside = tf.reduce_all((images >= 0.0) & (images <= 1.0))
    return tf.debugging.Assert(
        inside, ["images must be finite and lie in [0, 1]"], name="bad_images"
    )


def _refuse_bad_codes(z: tf.Tensor) -> tf.Operation:
    return tf.debugging.Assert(
        tf.reduce_all(tf.math.is_finite(z)), ["z must be finite"], name="bad_codes"
    )


def signature_functions(model: Any) -> dict[str, Callable[..., dict[str, tf.Tensor]]]:
    """The `tf.function`s of the signatures that `model` can honour, by name, float32 in and out.

    `decode(z [N, D])`, `encode(images [N, H, W, C])`, `sample_posterior(images, seed [N])`,
    `sample(seed)`, `elbo(images, seed)` and `to_base(z)`; images in [0, 1], seeds int32, nats per
    example. Equal seeds give `elbo` the draw of z that `sample_posterior` gives.

    Raises:
        UsageError: it is no generative model.
    """
    if not model.available_signatures:
        raise UsageError(
            f"a {model.name} makes no images and has no signatures: expected a run of a generative "
            "model; zoo-evaluate takes a classifier as --classifier"
        )
    images = tf.TensorSpec([None, *model.image_shape], tf.float32, name="images")
    z = tf.TensorSpec([None, model.latent_size], tf.float32, name="z")
    seed = tf.TensorSpec([None], tf.int32, name="seed")

    def decode(z: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.control_dependencies([_refuse_empty(z), _refuse_bad_codes(z)]):
            return model.decode(tf.identity(z))

    def encode(images: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.control_dependencies([_refuse_empty(images), _refuse_bad_images(images)]):
            return model.encode(tf.identity(images))

    def sample_posterior(images: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.control_dependencies([_refuse_empty(images), _refuse_bad_images(images)]):
            return model.sample_posterior(tf.identity(images), row_noise(seed))

    def sample(seed: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.control_dependencies([_refuse_empty(seed)]):
            return model.sample(row_noise(tf.identity(seed)))

    def elbo(images: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.control_dependencies([_refuse_empty(images), _refuse_bad_images(images)]):
            return model.elbo(tf.identity(images), row_noise(seed))

    def to_base(z: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.control_dependencies([_refuse_empty(z), _refuse_bad_codes(z)]):
            return model.to_base(tf.identity(z))

    every = {
        "decode": (decode, [z]),
        "encode": (encode, [images]),
        "sample_posterior": (sample_posterior, [images, seed]),
        "sample": (sample, [seed]),
        "elbo": (elbo, [images, seed]),
        "to_base": (to_base, [z]),
    }

    def as_float32(function: Callable) -> Callable:
        # The wrapped function's own parameter names become the names of the inputs.
        @functools.wraps(function)
        def wrapped(*inputs: tf.Tensor) -> dict[str, tf.Tensor]:
            return {name: tf.cast(value, tf.float32) for name, value in function(*inputs).items()}

        return wrapped

    return {
        name: tf.function(as_float32(every[name][0]), input_signature=every[name][1])
        for name in model.available_signatures
    }


def require(available: Any, needed: str, what: str) -> None:
    """Raises `UsageError`, saying why, where the signature `needed` is not `available`."""
    if needed not in available:
        raise UsageError(
            f"{what} has no signature {needed!r}: {WHY_NOT.get(needed, 'it was not exported')}; "
            f"it has {', '.join(available)}"
        )
