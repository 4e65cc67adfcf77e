"""Checkpoints: atomic, several kept, and a damaged newest one falls back to the one before."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import tensorflow as tf
from absl import logging

from zoo.errors import UsageError
from zoo.files import atomic_folder, remove_partial

KEEP = 3  # chosen

# What TensorFlow raises on missing, truncated and altered files, and on a checkpoint of other
# things.
_UNREADABLE = (tf.errors.OpError, AssertionError, LookupError, OSError, RuntimeError, ValueError)


class CheckpointStore:
    """The folder `checkpoints/` of a run: one sub-folder per step, made by one rename.

    A checkpoint holds every weight of the networks, every player's optimiser and the step, in
    TensorFlow's format, which carries a checksum per tensor.

    Args:
        folder: where they lie.
    """

    def __init__(self, folder: Path):
        self._folder = folder

    def steps(self) -> list[int]:
        """The steps that have a checkpoint, ascending."""
        names = [f.name.removeprefix("step-") for f in self._folder.glob("step-*")]
        return sorted(int(name) for name in names if name.isdigit())

    def save(self, model: Any) -> None:
        """Writes the model's current state, unless it is there, and drops the oldest beyond
        `KEEP`."""
        step = int(model.step.numpy())
        path = self._path(step)
        if not path.exists():
            remove_partial(self._folder)
            try:
                with atomic_folder(path) as temporary:
                    _checkpoint(model).write(str(temporary / "state"))
            except tf.errors.OpError as error:
                raise UsageError(f"cannot write the checkpoint {path}: {error.message}") from error
        for old in self.steps()[:-KEEP]:
            shutil.rmtree(self._path(old), ignore_errors=True)

    def restore(self, model: Any) -> int:
        """Restores the newest checkpoint that is sound, and returns its step; 0 where there is
        none.

        Damaged ones are named in a warning and removed.

        Raises:
            UsageError: there are checkpoints, but all are damaged.
        """
        found = self.steps()
        for step in reversed(found):
            try:
                status = _checkpoint(model).read(str(self._path(step) / "state"))
                if model.optimizers:
                    status.assert_consumed()
                else:  # for inference: what trains it stays on disk
                    status.assert_existing_objects_matched().expect_partial()
                return step
            except _UNREADABLE as error:
                reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                logging.warning("checkpoint %s is damaged: %s", self._path(step), reason)
        if found:
            raise UsageError(
                f"no checkpoint in {self._folder} can be read: all {len(found)} are damaged"
            )
        return 0

    def drop_after(self, step: int) -> None:
        """Removes the checkpoints of later steps, which a restore found damaged."""
        for later in self.steps():
            if later > step:
                shutil.rmtree(self._path(later), ignore_errors=True)

    def _path(self, step: int) -> Path:
        return self._folder / f"step-{step:08d}"


def _checkpoint(model: Any) -> tf.train.Checkpoint:
    parts = {player: getattr(model, player) for player in model.players}
    parts |= {f"{player}_optimizer": optimizer for player, optimizer in model.optimizers.items()}
    return tf.train.Checkpoint(step=model.step, **parts)
