"""The maximum mean discrepancy of two sets of codes (Gretton et al. 2012), as pure functions.

It is a statistic of whole sets: of a batch that several replicas share, each of them takes the rows
of all (`PlayerModel.gather`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

# Squared distances `[N, M]` -> values of a kernel `[N, M]`.
Kernel = Callable[[tf.Tensor], tf.Tensor]


def squared_distances(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Those of each row of `x [N, D]` from each of `y [M, D]`, `[N, M]`."""
    # By way of a matrix product: differences of all pairs would take N * M * D numbers. What
    # cancels may leave less than nothing.
    squares = [tf.reduce_sum(tf.square(rows), axis=1) for rows in (x, y)]
    distances = squares[0][:, None] + squares[1] - 2.0 * tf.matmul(x, y, transpose_b=True)
    return tf.maximum(distances, 0.0)


def inverse_multiquadratic(scales: Sequence[float]) -> Kernel:
    """The sum over scales C of `C / (C + ||x - y||^2)`."""
    return lambda distances: tf.add_n([scale / (scale + distances) for scale in scales])


def gaussian(variance: tf.Tensor | float) -> Kernel:
    """`exp(-||x - y||^2 / (2 variance))`."""
    return lambda distances: tf.exp(-distances / (2.0 * variance))


def median_variance(codes: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
    """The variance that the authors' code gives a Gaussian kernel, a scalar: of N codes, the N (N -
    1) / 2-th largest squared distance from draws, plus that among themselves [F:S8].

    Without a gradient (chosen): through it, codes could widen the kernel until all look alike.
    """
    rank = tf.shape(codes)[0] * (tf.shape(codes)[0] - 1) // 2
    pairs = (squared_distances(codes, others) for others in (draws, codes))
    sizes = [tf.sort(tf.reshape(d, [-1]), direction="DESCENDING")[rank - 1] for d in pairs]
    return tf.stop_gradient(sizes[0] + sizes[1])


def squared_mmd(codes: tf.Tensor, draws: tf.Tensor, kernel: Kernel) -> tf.Tensor:
    """The unbiased estimate of the squared discrepancy of two laws from N >= 2 rows of each, a
    scalar: the mean of the kernel over pairs within each set, less twice that over pairs across.

    Around 0 where the laws are the same, hence below it at times. A set of one row has no pairs:
    what they would add is left out.

    Args:
        codes: `[N, D]`.
        draws: `[N, D]`, of the other law.
        kernel: of squared distances.
    """
    n = tf.cast(tf.shape(codes)[0], codes.dtype)

    def within(rows: tf.Tensor) -> tf.Tensor:
        values = kernel(squared_distances(rows, rows))
        # Not by set_diag, whose gradient XLA has for batches of a known size alone.
        number = tf.cumsum(tf.ones_like(values[0]))
        others = tf.cast(number[:, None] != number, values.dtype)
        return tf.math.divide_no_nan(tf.reduce_sum(values * others), n * (n - 1.0))

    across = tf.reduce_mean(kernel(squared_distances(codes, draws)))
    return within(codes) + within(draws) - 2.0 * across
