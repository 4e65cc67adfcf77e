"""`zoo-train --sweep`: a grid of settings, one run folder each, whatever becomes of the others.

--sweep=latent_sizes                            a grid of zoo/paper/sweeps/
--sweep=kl_weight=1,4 --sweep=seed=0,1,2        axes of one's own; all are crossed
--sweep=learning_rate.encoder+decoder=1e-4,5e-4 the rate of some players, one for both here

Each run is a process of its own, so that one that crashes or is killed leaves the rest alone. The
same command again skips what is finished, resumes what was interrupted and tries again what failed.
"""

from __future__ import annotations

import codecs
import dataclasses
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from absl import flags

from zoo.config import RunConfig
from zoo.errors import UsageError, expected_of
from zoo.files import folder_lock
from zoo.flags import program
from zoo.handlers import handled
from zoo.paper.grids import SWEEPS, read
from zoo.run import Run
from zoo.sweep import FAILED, FINISHED, RATE, UNFINISHED, Entry, Sweep, as_settings

SOME_FAILED = 1
LONGEST_NAME = 255  # bytes of a file name


@dataclasses.dataclass(frozen=True)
class Point:
    """One run of the grid: its folder, what the sweep sets, and all settings that are given."""

    folder: str
    swept: dict[str, Any]
    given: dict[str, Any]


def define(values: flags.FlagValues) -> None:
    """The flag `--sweep`."""
    flags.DEFINE_multi_string(
        "sweep",
        [],
        f"Train a grid of runs in folders below --run_dir: one of {', '.join(SWEEPS)}; or an axis, "
        "as latent_size=10,50 or learning_rate.encoder+decoder=1e-4,5e-4. Several are crossed.",
        flag_values=values,
    )


def run_sweep(values: flags.FlagValues) -> int:
    """Trains every point of the grid, one after the other, and returns the exit code.

    Raises:
        UsageError: a name or value of any point is not accepted; nothing has been started then.
    """
    program.exactly_one(values, "run_dir")
    points = expand(values)
    configs = [RunConfig.create(**(program.settings(values) | point.given)) for point in points]
    if any(config.training.strategy == "multi_worker" for config in configs):
        raise UsageError("strategy=multi_worker does not work with --sweep: expected one machine")
    folder = Path(values.run_dir)
    for point in points:
        Run.check_folder(folder / point.folder)
    _check_folder(folder)
    program.start_tensorflow()
    finished = [
        _is_finished(folder / point.folder, config)
        for point, config in zip(points, _resolved(configs), strict=True)
    ]
    with folder_lock(folder):
        sweep = Sweep.open(folder)
        states = [FINISHED if done else UNFINISHED for done in finished]
        sweep.note({p.folder: Entry(p.swept, s) for p, s in zip(points, states, strict=True)})
        for number, (point, state) in enumerate(zip(points, states, strict=True), start=1):
            print(f"[{number}/{len(points)}] {point.folder}", end="", flush=True)
            if state == FINISHED:
                print(": finished already", flush=True)
                continue
            print(flush=True)
            if not _train(point, sweep):
                print(f"stopped at run {number} of {len(points)}; the same command goes on")
                return 0
    return _report(sweep, points)


# ---- The grid ------------------------------------------------------------------------------------


def expand(values: flags.FlagValues) -> list[Point]:
    """The points of the grid that the flags describe, the last axis moving fastest.

    Raises:
        UsageError: an axis or a value is not accepted.
    """
    axes: dict[str, list[Any]] = {}
    for text in values.sweep:
        for name, choices in _axes_of(text):
            if name in axes:
                raise UsageError(f"sweep={text!r}: {name} is swept twice")
            axes[name] = list(dict.fromkeys(_typed(values, name, c) for c in choices))
            if not axes[name]:
                raise UsageError(f"sweep={text!r}: {name} has no values: expected {name}=A,B,...")
    given = program.settings(values, given_only=True)
    points = []
    for combination in itertools.product(*axes.values()):
        swept = dict(zip(axes, combination, strict=True))
        folder = quote(",".join(f"{k}={_text(v)}" for k, v in swept.items()), safe="=,+")
        if len(folder) > LONGEST_NAME:
            raise UsageError(f"the sweep's folder name {folder} is too long: expected fewer axes")
        points.append(Point(folder, swept, given | as_settings(swept, given)))
    return points


def _axes_of(text: str) -> Iterator[tuple[str, list[Any]]]:
    """The axes of one `--sweep`."""
    name, equals, choices = text.partition("=")
    if equals:
        yield name, [choice for choice in choices.split(",") if choice]
        return
    if text not in SWEEPS:
        known = expected_of(text, SWEEPS, "an axis as latent_size=10,50, or one of")
        raise UsageError(f"sweep={text!r} is not known: {known}")
    yield from read(text)["grid"].items()


def _typed(values: flags.FlagValues, name: str, choice: Any) -> Any:
    """A value of an axis in the type of its setting."""
    setting, dot, players = name.partition(".")
    if setting not in program.settings(values) and setting != RATE:
        known = expected_of(setting, RunConfig.names())
        raise UsageError(f"sweep: unknown setting {setting!r}: {known}")
    if dot and (setting != RATE or not all(players.split("+"))):
        raise UsageError(f"sweep: {name!r} is not accepted: expected {RATE}.PLAYER+PLAYER=...")
    try:
        return float(choice) if setting == RATE else values[setting].parser.parse(choice)
    except (ValueError, TypeError) as error:
        raise UsageError(f"sweep: {name}={choice!r} is not accepted: {error}") from None


def _text(value: Any) -> str:
    """A value as a flag takes it, numbers as short as they go."""
    text = str(value)
    if isinstance(value, float):
        return text.removesuffix(".0")
    return text.lower() if isinstance(value, bool) else text


# ---- The runs ------------------------------------------------------------------------------------


def _resolved(configs: list[RunConfig]) -> list[RunConfig]:
    """What the runs will write as their configuration; raises `UsageError` as they would."""
    import tensorflow as tf

    from zoo.data import load_dataset
    from zoo.models import resolve

    # The runs need them, one after the other; this process would hold their memory all the while.
    tf.config.set_visible_devices([], "GPU")
    datasets = {data: load_dataset(data) for data in {config.data for config in configs}}
    return [resolve(config, datasets[config.data]) for config in configs]


def _check_folder(folder: Path) -> None:
    """Raises `UsageError` where `folder` holds something else than a sweep."""
    if not folder.is_dir() or (folder / "sweep.json").exists():
        return
    if (folder / "config.json").exists():
        raise UsageError(f"{folder} is a run folder: expected a new folder, or that of a sweep")
    if any(not file.name.startswith(".") for file in folder.iterdir()):
        raise UsageError(f"{folder} is not empty and holds no sweep: expected a new folder")


def _is_finished(folder: Path, config: RunConfig) -> bool:
    """Whether the run in `folder` has all its steps; raises `UsageError` where it is another."""
    if not (folder / "config.json").exists():
        return False
    run = Run.open(folder)
    differences = run.config.differences(config)
    if differences:
        raise UsageError(f"{folder} holds another run: {'; '.join(differences)}")
    return run.checkpoints.newest() >= config.training.steps


def _train(point: Point, sweep: Sweep) -> bool:
    """Trains one point and notes how it ended; False where the sweep was asked to stop."""
    folder = sweep.path / point.folder
    command = [sys.executable, "-m", "zoo.flags.train", f"--run_dir={folder}"]
    command += [f"--{name}={_text(value)}" for name, value in point.given.items()]
    code, line, stopped = _call(command)
    state, message = UNFINISHED, ""
    if code < 0 and not stopped:
        state, message = FAILED, f"killed by {signal.Signals(-code).name}"
    elif code > 0:
        state, message = FAILED, line
    elif code == 0 and not stopped:
        state = FINISHED if Run.open(folder).is_finished else UNFINISHED
    sweep.note({point.folder: Entry(point.swept, state, message)})
    return not stopped


def _call(command: list[str]) -> tuple[int, str, bool]:
    """Runs a child: its exit code, the last line of its stderr, and whether it was told to stop.

    A SIGTERM or SIGHUP to this process tells it to, and it ends with a checkpoint.
    """
    children: list[subprocess.Popen] = []
    stopped = False

    def stop(*_: Any) -> None:
        nonlocal stopped
        stopped = True
        for child in children:
            child.terminate()

    with (
        handled(stop, (signal.SIGTERM, signal.SIGHUP)),
        subprocess.Popen(command, stderr=subprocess.PIPE) as child,
    ):
        children.append(child)
        if stopped:
            child.terminate()
        line = _show(child)
    return child.returncode, line, stopped


def _show(child: subprocess.Popen) -> str:
    """Copies a child's stderr to ours as it comes, progress bar and all; returns its last line."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    tail = ""
    assert child.stderr is not None  # a pipe
    try:
        while chunk := os.read(child.stderr.fileno(), 4096):
            sys.stderr.buffer.write(chunk)
            sys.stderr.buffer.flush()
            tail = (tail + decoder.decode(chunk))[-4096:]
    except BaseException:
        child.terminate()
        raise
    lines = [line.strip() for line in tail.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _report(sweep: Sweep, points: list[Point]) -> int:
    """Says how the runs ended, and returns the exit code that tells."""
    entries = {point.folder: sweep.entries[point.folder] for point in points}
    finished = sum(entry.state == FINISHED for entry in entries.values())
    print(f"{finished} of {len(points)} runs are finished in {sweep.path}")
    for folder, entry in entries.items():
        if entry.state != FINISHED:
            print(f"  {entry.state}: {folder}{': ' if entry.message else ''}{entry.message}")
    return 0 if finished == len(points) else SOME_FAILED
