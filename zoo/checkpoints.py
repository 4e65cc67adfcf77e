"""Checkpoints: atomic, several kept, and a damaged newest one falls back to the one before."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from zoo.errors import UsageError, reason
from zoo.files import atomic_folder, read_bytes, read_json, write_json
from zoo.partial import remove
from zoo.state import for_inference, load_state

KEEP = 3  # chosen


@dataclasses.dataclass(frozen=True)
class Best:
    """What makes a checkpoint the best: its value on the validation split.

    Attributes:
        term: a term or loss of the model.
        value: of it.
        images: of the validation split that it is a mean over.
    """

    term: str
    value: float
    images: int

    def beats(self, other: Best | None, higher: bool) -> bool:
        """Whether this is better than another, where a higher or else a lower value is; and than
        any of something else."""
        if other is None or (other.term, other.images) != (self.term, self.images):
            return True
        return self.value > other.value if higher else self.value < other.value


class CheckpointStore:
    """The folder `checkpoints/` of a run: one sub-folder per step, made by one rename.

    A checkpoint is the file `state.npz`, in which each entry of `PlayerModel.state` stands under
    its name: every weight of the networks, every player's optimiser and the step. A zip file, it
    carries a checksum per entry.

    A sub-folder `best-TERM-STEP` has that of the best validation value beside it, in `best.json`.
    It stays until a better one is there.

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
                _write(model, temporary)
        for old in self.steps()[:-KEEP]:
            remove(self._path(old))

    def save_best(self, model: Any, best: Best) -> None:
        """Writes the model's current state as the best one, and then drops the one before."""
        step = int(model.step.numpy())
        path = self._folder / f"best-{best.term}-{step:08d}"
        if not path.exists():  # a resume may do a step again
            with atomic_folder(path) as temporary:
                _write(model, temporary)
                write_json(temporary / "best.json", dataclasses.asdict(best))
        for other in self._folder.glob("best-*"):
            if other != path:
                remove(other)

    def best(self) -> Best | None:
        """What the best checkpoint has; None where there is none.

        Raises:
            UsageError: its file is damaged.
        """
        path = self._best_path()
        if path is None:
            return None
        content = read_json(path / "best.json")
        try:
            term, value, images = content["term"], content["value"], content["images"]
            return Best(str(term), float(value), int(images))
        except (KeyError, TypeError, ValueError):
            raise UsageError(
                f"{path / 'best.json'} is damaged: expected term, value and images; remove "
                f"{path.name}, and the next validation value begins anew"
            ) from None

    def files(self, best: bool) -> list[Path]:
        """Those of the newest checkpoint, or of the best one; none where there is none."""
        place = self._best_path() if best else self._path(self.newest())
        return sorted(place.iterdir()) if place and place.exists() else []

    def restore_best(self, model: Any) -> int:
        """Restores the best checkpoint, and returns its step.

        Raises:
            UsageError: there is none, or it is damaged.
        """
        path = self._best_path()
        if path is None:
            raise UsageError(
                f"{self._folder} has no best checkpoint: expected a run that was trained with "
                "--validate_every and --keep_best"
            )
        try:
            self._restore(model, path)
        except _Damaged as error:
            raise UsageError(f"the best checkpoint {path} is damaged: {reason(error)}") from error
        return int(model.step.numpy())

    def _best_path(self) -> Path | None:
        """The newest of them: a writer that was killed may have left the one before."""
        places = [f for f in self._folder.glob("best-*") if _step_of(f).isdecimal()]
        return max(places, key=lambda place: int(_step_of(place)), default=None)

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
            values = for_inference(values)
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


def _write(model: Any, folder: Path) -> None:
    values = {name: variable.numpy() for name, variable in model.state.items()}
    np.savez(folder / "state.npz", **values)


def _step_of(best: Path) -> str:
    return best.name.rpartition("-")[2]


class _Damaged(Exception):
    """A checkpoint that cannot be read to its end."""
