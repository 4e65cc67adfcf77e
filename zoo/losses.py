"""Density-ratio losses and their like: pure functions of tensors, one value per example `[N]`.

With a logit d = log D/(1-D), -log D = softplus(-d) and -log(1-D) = softplus(d): cross entropies are
taken from logits and never meet the logarithm of zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import tensorflow as tf


def as_real(logit: tf.Tensor) -> tf.Tensor:
    """`-log D`: small where the critic says "real". The critic's loss on real examples, and the
    non-saturating loss of whoever wants to pass for real (Rosca et al. 2018, footnote 1 [P])."""
    return tf.nn.softplus(-logit)


def as_fake(logit: tf.Tensor) -> tf.Tensor:
    """`-log(1 - D)`: small where the critic says "fake"."""
    return tf.nn.softplus(logit)


def hinge_as_real(logit: tf.Tensor) -> tf.Tensor:
    """`max(0, 1 - d)`: the critic's loss on real examples with a margin."""
    return tf.nn.relu(1.0 - logit)


def hinge_as_fake(logit: tf.Tensor) -> tf.Tensor:
    """`max(0, 1 + d)`: the critic's loss on fake examples with a margin."""
    return tf.nn.relu(1.0 + logit)


def reverse_kl(logit: tf.Tensor) -> tf.Tensor:
    """`-log D + log(1 - D) = -d`: the estimate of KL(fake || real) by the density ratio trick
    [F:S4]."""
    return -logit


ADVERSARIAL = {"non_saturating": as_real, "reverse_kl": reverse_kl}


def l1(images: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """Mean over pixels of the absolute difference `[N]`, in units of [0, 1].

    The mean, not the sum: with weights of 1 to 50 a sum would swamp the adversarial terms
    (paper.md, Algorithm 5 [F, M]).
    """
    return tf.reduce_mean(tf.abs(images - others), axis=[1, 2, 3])


def squared_error(images: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """Squared difference, mean over pixels of the sum over channels `[N]`, in units of [0, 1]."""
    return tf.reduce_mean(tf.reduce_sum(tf.square(images - others), axis=-1), axis=[1, 2])


def squared_distance(z: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    """Squared L2 distance of codes, summed over dimensions `[N]`."""
    return tf.reduce_sum(tf.square(z - other), axis=-1)


def gradient_penalty(
    critic: Callable[[tf.Tensor], tf.Tensor],
    real: tf.Tensor,
    fake: tf.Tensor,
    position: tf.Tensor,
) -> tf.Tensor:
    """`(||grad f(x)||_2 - 1)^2` at `x = real + position * (fake - real)` `[N]`.

    Gulrajani et al. 2017; two-sided.

    Args:
        critic: images or codes -> `[N]`, without anything that mixes rows.
        real: `[N, ...]`.
        fake: like `real`.
        position: one number in [0, 1) per example, of the rank of `real`, `[N, 1, ...]`.
    """
    between = real + position * (fake - real)
    with tf.GradientTape() as tape:
        tape.watch(between)
        values = critic(between)
    gradient = tape.gradient(values, between)
    # The square root has no derivative at zero.
    axes = list(range(1, real.shape.rank))
    norm = tf.sqrt(tf.reduce_sum(tf.square(gradient), axis=axes) + 1e-12)
    return tf.square(norm - 1.0)


def decoder_slope(
    generate: Callable[[tf.Tensor], tf.Tensor], z: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """The images `[N, H, W, C]` of codes `[N, D]`, and `mean_j (d ||x||^2 / dz_j)^2` `[N]`, from
    one pass.

    Ghosh et al. 2020, as their code has it. A batch norm in the decoder counts: the squared length
    is that of all images of the batch together.
    """
    with tf.GradientTape() as tape:
        tape.watch(z)
        images = generate(z)
        length = tf.reduce_sum(tf.square(images))
    return images, tf.reduce_mean(tf.square(tape.gradient(length, z)), axis=-1)


def after(losses: Iterable[tf.Tensor], seed: float) -> tf.Tensor:
    """`seed`, of which a backward pass starts, once all these losses are there; 0 where one of them
    is not finite.

    The gradient of a loss that is linear in a critic's output needs none of its values, and that of
    a gradient penalty not all of them. TensorFlow orders an update after every read of its
    variable, but its graph optimiser drops that order where a path of values implies it, and later
    such a path where nothing but shapes is needed: then a read may come after the update, by the
    threads' chance.
    """
    total = tf.add_n([tf.cast(loss, tf.float32) for loss in losses])
    return tf.where(tf.math.is_finite(total), seed, 0.0)
