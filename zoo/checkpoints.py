"""Checkpoints: atomic, several kept, and a damaged newest one falls back to the one before."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from zoo.errors import UsageError, reason
from zoo.files import atomic_folder, read_bytes
from zoo.partial import remove
from zoo.state import OPTIMIZER, load_state

KEEP = 3  # chosen


class CheckpointStore:
    """The folder `checkpoints/` of a run: one sub-folder per step, made by one rename.

    A checkpoint is the file `state.npz`, in which each entry of `PlayerModel.state` stands under
    its name: every weight of the networks, every player's optimiser and the step. A zip file, it
    carries a checksum per entry.

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
        path = self._path(int(model.step.numpy()))
        if not path.exists():
            with atomic_folder(path) as temporary:
                values = {name: variable.numpy() for name, variable in model.state.items()}
                np.savez(temporary / "state.npz", **values)
        for old in self.steps()[:-KEEP]:
            remove(self._path(old))

    def restore(self, model: Any) -> int:
        """Restores the newest checkpoint that is sound, and returns its step; 0 where there is
        none.

        Damaged ones are named in a warning.

        Raises:
            UsageError: there are checkpoints, but all are damaged, or one is of another model.
        """
        damaged: dict[int, str] = {}
        # Listed anew each time: a run in training makes new ones and drops old ones meanwhile.
        while left := [step for step in self.steps() if step not in damaged]:
            step = left[-1]
            path = self._path(step)
            try:
                self._restore(model, path)
            except _Damaged as error:
                damaged[step] = reason(error)
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

    @staticmethod
    def _restore(model: Any, path: Path) -> None:
        if (path / "state.index").exists():
            from zoo import format_1

            try:
                format_1.restore_checkpoint(model, path)
            except format_1.UNREADABLE as error:
                raise _Damaged(reason(error)) from error
            return
        try:
            with np.load(io.BytesIO(read_bytes(path / "state.npz"))) as file:
                values = {name: file[name] for name in file.files}
        except Exception as error:  # damage has many faces
            raise _Damaged(reason(error)) from error
        if not model.optimizers:  # for inference: what trains it stays on disk
            values = {n: v for n, v in values.items() if not n.startswith(OPTIMIZER)}
        try:
            load_state(model.state, values)
        except UsageError as error:
            raise UsageError(f"{path} is of another model: {error}") from None

    def drop_after(self, step: int) -> None:
        """Removes the checkpoints of later steps, which a restore found damaged."""
        for later in self.steps():
            if later > step:
                remove(self._path(later))

    def _path(self, step: int) -> Path:
        return self._folder / f"step-{step:08d}"


class _Damaged(Exception):
    """A checkpoint that cannot be read to its end."""
