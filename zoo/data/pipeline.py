"""The training input: which images make up which step, as a function of (seed, step) alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from zoo.pixels import as_float_tensor

_STREAM = 0x6F7264  # sets the data order's keys apart from all others; chosen


def positions_to_examples(positions: tf.Tensor, examples: int, seed: int) -> tf.Tensor:
    """The example at each position of the endless training stream.

    The stream is one epoch after another, each in an order of its own. The order is a keyed
    permutation that is computed position by position, so that a resume jumps to its place at once.

    Args:
        positions: int64, any shape.
        examples: how many there are.
        seed: the run seed.

    Returns:
        int64 in [0, examples), the shape of `positions`.
    """
    flat = tf.reshape(positions, [-1])
    # The raw op: its wrapper takes one key only, and a batch may reach into the next epoch.
    epoch = tf.cast(flat // examples, tf.int32)
    run = tf.fill(tf.shape(epoch), seed)
    keys = tf.stack([run, tf.fill(tf.shape(epoch), _STREAM), epoch], axis=1)
    places = tf.raw_ops.RandomIndexShuffle(
        index=flat % examples,
        seed=keys,
        max_index=tf.fill(tf.shape(flat), tf.cast(examples - 1, tf.int64)),
    )
    return tf.reshape(places, tf.shape(positions))


def training_dataset(
    images: np.ndarray,
    *,
    strategy: tf.distribute.Strategy,
    batch_size: int,
    seed: int,
    first_step: int,
    steps: int,
    passes: int = 1,
    labels: np.ndarray | None = None,
) -> Any:
    """Batches for the steps `first_step + 1 .. steps`: images, float32 in [0, 1], or with `labels`
    pairs of images and labels.

    Row `i` of the global batch of a step is the same image on any number of replicas or workers.

    Args:
        images: uint8 `[N, H, W, C]`; only the rows in use are read.
        strategy: decides how many batches a step needs and of what size.
        batch_size: images of a step over all replicas.
        seed: the run seed.
        first_step: steps already done.
        steps: the step to end with.
        passes: fresh batches per step; above one, a batch is `[N, passes, H, W, C]`.
        labels: int64 `[N]`, for one pass a step.
    """
    rows = batch_size // strategy.num_replicas_in_sync

    def gather(index: np.ndarray) -> np.ndarray:
        return images[index]

    def make(context: tf.distribute.InputContext) -> tf.data.Dataset:
        replicas_here = context.num_replicas_in_sync // context.num_input_pipelines
        first_replica = context.input_pipeline_id * replicas_here

        def batch(index: tf.Tensor) -> tf.Tensor:
            step, replica = index // replicas_here, index % replicas_here + first_replica
            row = (step * batch_size + replica * rows + tf.range(rows, dtype=tf.int64))[:, None]
            positions = row * passes + tf.range(passes, dtype=tf.int64)
            examples = positions_to_examples(positions, len(images), seed)
            pixels = tf.numpy_function(gather, [examples], tf.uint8, stateful=False)
            pixels = tf.ensure_shape(pixels, (rows, passes, *images.shape[1:]))
            pixels = as_float_tensor(pixels)
            pixels = pixels if passes > 1 else pixels[:, 0]
            return pixels if labels is None else (pixels, tf.gather(labels, examples[:, 0]))

        elements = tf.data.Dataset.range(first_step * replicas_here, steps * replicas_here)
        return elements.map(batch, num_parallel_calls=2, deterministic=True).prefetch(8)

    return strategy.distribute_datasets_from_function(make)
