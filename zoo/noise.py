"""Noise that is a function of keys, never of global state.

Models ask for noise by purpose and shape and get `[N, *shape]`. One generator, Threefry, serves
training, evaluation and the exported signatures. Each row has a key of its own:

- in training it depends on (run seed, step, row of the *global* batch), so that one run gets the
  same numbers on any number of replicas, after any resume, and with or without XLA;
- elsewhere on the seed of the row alone, so that one row's result does not depend on its
neighbours.

TensorFlow's stateless Philox would do none of this as well: it draws other numbers under XLA than
outside it, and takes one seed for a whole batch.
"""

from __future__ import annotations

import math
import zlib
from typing import Any

import numpy as np
import tensorflow as tf

from zoo.settings import check_seed

Words = tuple[tf.Tensor, tf.Tensor]

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = np.uint32(0x1BD11BDA)
# Rows of whole vector registers: the remainder of a register goes through scalar code, whose
# logarithm and cosine differ in the last bit, and where it falls would depend on the batch.
_VECTOR = 16


def threefry_2x32(key: Words, counter: Words) -> Words:
    """Threefry-2x32, 20 rounds (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").

    Plain integer operations, so that every runtime that loads a SavedModel draws the same bits.

    Args:
        key: two uint32 tensors.
        counter: two uint32 tensors that broadcast against the key.

    Returns:
        Two uint32 tensors of random bits.
    """
    keys = (key[0], key[1], tf.bitwise.bitwise_xor(tf.bitwise.bitwise_xor(*key), _PARITY))
    x0, x1 = counter[0] + keys[0], counter[1] + keys[1]
    for block in range(5):
        for rotation in _ROTATIONS[block % 2]:
            x0 = x0 + x1
            left = tf.bitwise.left_shift(x1, np.uint32(rotation))
            right = tf.bitwise.right_shift(x1, np.uint32(32 - rotation))
            x1 = tf.bitwise.bitwise_xor(tf.bitwise.bitwise_or(left, right), x0)
        x0 = x0 + keys[(block + 1) % 3]
        x1 = x1 + keys[(block + 2) % 3] + np.uint32(block + 1)
    return x0, x1


class Noise:
    """Where a model's randomness comes from.

    Args:
        key: two uint32 `[N]`, the key of each row.
    """

    def __init__(self, key: Words):
        self._key = tuple(word[:, None] for word in key)

    def normal(self, purpose: str, shape: tuple[int, ...]) -> tf.Tensor:
        """Standard normal `[N, *shape]`, float32, by Box-Muller."""
        u, v = self._unit_pairs(purpose, math.prod(shape))
        radius = tf.sqrt(-2.0 * tf.math.log(u + 2.0**-24))  # u = 0 would have no logarithm
        angle = (2.0 * math.pi) * v
        return _shaped((radius * tf.cos(angle), radius * tf.sin(angle)), shape)

    def uniform(self, purpose: str, shape: tuple[int, ...]) -> tf.Tensor:
        """Uniform on [0, 1) `[N, *shape]`, float32."""
        return _shaped(self._unit_pairs(purpose, math.prod(shape)), shape)

    def _unit_pairs(self, purpose: str, count: int) -> Words:
        """Two float32 `[N, P]`, multiples of 2**-24 in [0, 1), of `count` numbers or more."""
        pairs = _VECTOR * math.ceil(count / (2 * _VECTOR))
        index = tf.range(pairs, dtype=tf.int32)[None, :]
        bits = threefry_2x32(self._key, (_as_word(index), _as_word(_purpose(purpose))))
        # The upper 24 bits fill a float32 mantissa exactly; by way of int32, which has the kernel.
        shifted = [tf.bitcast(tf.bitwise.right_shift(b, np.uint32(8)), tf.int32) for b in bits]
        return tuple(tf.cast(b, tf.float32) * 2.0**-24 for b in shifted)


class GivenNoise:
    """Standard normals that a caller brings, in the place of a generator.

    Each request takes the next columns. Stands for a `Noise` of which normals alone are asked for.

    Args:
        values: standard normals `[N, K]`.

    Attributes:
        columns: how many were taken.
    """

    def __init__(self, values: tf.Tensor):
        self._values, self.columns = values, 0

    def normal(self, purpose: str, shape: tuple[int, ...]) -> tf.Tensor:
        """The next `prod(shape)` columns as `[N, *shape]`, whatever they are for."""
        del purpose
        first, self.columns = self.columns, self.columns + math.prod(shape)
        taken = self._values[:, first : self.columns]
        return tf.reshape(taken, [tf.shape(taken)[0], *shape])


def step_noise(seed: int, step: tf.Tensor | int, rows: tf.Tensor | int) -> Noise:
    """The noise of one training step; call it inside the replica context that uses it.

    Args:
        seed: the run seed.
        step: number of the step, a scalar.
        rows: batch size of this replica.
    """
    first = tf.distribute.get_replica_context().replica_id_in_sync_group * rows
    return Noise(_row_keys(seed, "train", tf.range(rows, dtype=tf.int32) + first, step))


def row_noise(seeds: tf.Tensor | np.ndarray, step: tf.Tensor | int = 0) -> Noise:
    """Noise of which each row depends on its own seed, int32 `[N]`, and on the number of a step;
    equal seeds, equal rows."""
    word = _as_word(seeds)
    return Noise((word, tf.zeros_like(word) + _as_word(step)))


def as_noise(source: Any, rows: tf.Tensor | int) -> Noise:
    """`source` itself, or where it is a seed the noise of the first `rows` rows of an evaluation
    with it.

    Raises:
        UsageError: it is neither.
    """
    if hasattr(source, "normal"):
        return source
    return row_noise(row_seed_tensor(check_seed(source), 0, rows))


def row_seeds(seed: int, first: int, count: int) -> np.ndarray:
    """The int32 seeds of rows `first .. first + count - 1` of an evaluation with this seed."""
    return row_seed_tensor(seed, first, count).numpy()


def row_seed_tensor(seed: int, first: tf.Tensor | int, count: tf.Tensor | int) -> tf.Tensor:
    """`row_seeds` as a tensor, for graphs."""
    rows = tf.range(first, first + count, dtype=tf.int32)
    return tf.bitcast(_row_keys(seed, "evaluate", rows, 0)[0], tf.int32)


def _row_keys(seed: int, purpose: str, rows: tf.Tensor, step: tf.Tensor | int) -> Words:
    key = (_as_word(seed & 0x7FFFFFFF), _as_word(_purpose(purpose)))
    return threefry_2x32(key, (_as_word(rows), _as_word(tf.cast(step, tf.int32))))


def _purpose(name: str) -> int:
    return zlib.crc32(name.encode()) & 0x7FFFFFFF


def _as_word(value: tf.Tensor | np.ndarray | int) -> tf.Tensor:
    return tf.bitcast(tf.convert_to_tensor(value, tf.int32), tf.uint32)


def _shaped(halves: Words, shape: tuple[int, ...]) -> tf.Tensor:
    return tf.reshape(tf.concat(halves, axis=1)[:, : math.prod(shape)], [-1, *shape])


def batch_rows(images: tf.Tensor | tuple[tf.Tensor, ...]) -> int | tf.Tensor:
    """The rows of a batch, each of which needs its noise: static where the number is known, which
    XLA on a TPU needs."""
    images = tf.nest.flatten(images)[0]
    return images.shape[0] or tf.shape(images)[0]
