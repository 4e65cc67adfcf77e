"""Reads runs of format 1, which the zoo wrote up to its version 0.1.0.

Their checkpoints are TensorFlow's object graphs, in which the coupling nets of a RealNVP posterior
have no place of their own: Keras makes no dependency for what a layer keeps in a list. Their
trained values are there, but under the optimisers alone, which therefore always take part here.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import tensorflow as tf

from zoo.models.schedules import scheduled

if TYPE_CHECKING:
    from zoo.models.base import PlayerModel

UNREADABLE = (tf.errors.OpError, AssertionError, LookupError, OSError, RuntimeError, ValueError)


def restore_checkpoint(model: PlayerModel, path: Path) -> None:
    """Gives `model` all that the checkpoint in the folder `path` holds.

    Raises:
        `UNREADABLE`: it is damaged, or of another model.
    """
    optimizers = model.optimizers
    if not optimizers:
        rate = scheduled(1e-3, model.schedule)
        optimizers = {player: model.make_optimizer(rate) for player in model.players}
        for player, optimizer in optimizers.items():
            optimizer.build(model.player_variables(player))
    parts = model.parts | {f"{player}_optimizer": o for player, o in optimizers.items()}
    checkpoint = tf.train.Checkpoint(step=model.step, **parts)
    status = checkpoint.read(str(path / "state"))
    try:
        status.assert_consumed()
    except AssertionError:
        status.expect_partial()  # or TensorFlow names each value that it did not use
        raise
