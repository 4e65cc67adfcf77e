"""Checkpoints: atomic, several kept, and a damaged newest one falls back to the one before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf
from absl import logging

from zoo.errors import UsageError, reason
from zoo.files import atomic_folder, remove, remove_partial

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
        return sorted(int(name) for name in names if name.isdecimal())

    def newest(self) -> int:
        """The step of the newest checkpoint; 0 where there is none."""
        return max(self.steps(), default=0)

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
                raise UsageError(f"cannot write the checkpoint {path}: {reason(error)}") from error
        for old in self.steps()[:-KEEP]:
            remove(self._path(old))

    def restore(self, model: Any) -> int:
        """Restores the newest checkpoint that is sound, and returns its step; 0 where there is
        none.

        Damaged ones are named in a warning.

        Raises:
            UsageError: there are checkpoints, but all are damaged.
        """
        damaged: dict[int, str] = {}
        # Listed anew each time: a run in training makes new ones and drops old ones meanwhile.
        while left := [step for step in self.steps() if step not in damaged]:
            step, status = left[-1], None
            try:
                status = _checkpoint(model).read(str(self._path(step) / "state"))
                if model.optimizers:
                    status.assert_consumed()
                else:  # for inference: what trains it stays on disk
                    status.assert_existing_objects_matched().expect_partial()
            except _UNREADABLE as error:
                damaged[step] = reason(error)
                if status is not None:
                    status.expect_partial()  # or TensorFlow names each value that it did not use
                continue
            for bad, why in damaged.items():
                if self._path(bad).exists():
                    logging.warning(
                        "checkpoint %s is damaged, step %d takes its place: %s",
                        *(self._path(bad), step, why),
                    )
            return step
        if damaged:
            step, why = next(iter(damaged.items()))
            raise UsageError(
                f"no checkpoint in {self._folder} can be read: all {len(damaged)} are damaged, the "
                f"newest, of step {step}, because of: {why}"
            )
        return 0

    def drop_after(self, step: int) -> None:
        """Removes the checkpoints of later steps, which a restore found damaged."""
        for later in self.steps():
            if later > step:
                remove(self._path(later))

    def _path(self, step: int) -> Path:
        return self._folder / f"step-{step:08d}"


def _checkpoint(model: Any) -> tf.train.Checkpoint:
    parts = {player: getattr(model, player) for player in model.players}
    parts |= {f"{player}_optimizer": optimizer for player, optimizer in model.optimizers.items()}
    return tf.train.Checkpoint(step=model.step, **parts)
