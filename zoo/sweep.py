"""A folder of runs: what a sweep keeps beside its run folders.

sweep_dir/sweep.json     which settings lie in which folder, and how far each has come
          NAME=VALUE.../  one run folder per point of the grid
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from zoo.config import parse_learning_rate
from zoo.errors import UsageError
from zoo.files import read_json, user_path, write_json
from zoo.run import Run

RATE = "learning_rate"
FINISHED, FAILED, UNFINISHED = "finished", "failed", "unfinished"


@dataclasses.dataclass(frozen=True)
class Entry:
    """One run of a sweep.

    Attributes:
        settings: what the sweep set, by the axes of its grid.
        state: "finished"; "failed", with the reason in `message`; or "unfinished": not begun, under
            way, or interrupted.
        message: the last line that a failed run wrote.
    """

    settings: dict[str, Any]
    state: str = UNFINISHED
    message: str = ""


class Sweep:
    """The index of a sweep's folder; it keeps the runs of all grids that were trained there.

    Args:
        path: the folder above the run folders.
        entries: by folder name.
    """

    def __init__(self, path: str | Path, entries: dict[str, Entry]):
        self.path, self.entries = user_path(path), entries

    @classmethod
    def open(cls, path: str | Path) -> Sweep:
        """The sweep at `path`; one without entries where there is no index yet.

        Raises:
            UsageError: the index is damaged.
        """
        file = user_path(path) / "sweep.json"
        if not file.exists():
            return cls(path, {})
        try:
            runs = read_json(file)["runs"]
            return cls(path, {folder: Entry(**entry) for folder, entry in runs.items()})
        except (KeyError, TypeError, AttributeError) as error:
            raise UsageError(f"{file} is not the index of a sweep: {error!r}") from None

    def note(self, entries: dict[str, Entry]) -> None:
        """Adds or replaces entries, and writes the index."""
        self.entries |= entries
        runs = {folder: dataclasses.asdict(entry) for folder, entry in self.entries.items()}
        write_json(self.path / "sweep.json", {"runs": runs})

    def runs(self) -> Iterator[tuple[Entry, Run]]:
        """The finished runs with their entries."""
        for folder, entry in self.entries.items():
            if entry.state == FINISHED:
                yield entry, Run.open(self.path / folder)


def as_settings(swept: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """A point of a grid as settings: rates of single players, as `learning_rate.encoder+decoder` of
    two, joined into one `learning_rate`; those of `given` stay where the point has none."""
    chosen = {name: value for name, value in swept.items() if name.partition(".")[0] != RATE}
    rates = parse_learning_rate(swept.get(RATE, given.get(RATE, {})))
    for name, value in swept.items():
        if "." in name:
            rates |= dict.fromkeys(name.partition(".")[2].split("+"), value)
    if rates:
        chosen[RATE] = ",".join(f"{player}={rate!r}" for player, rate in rates.items())
    return chosen
