"""Signals: each ends a program, at any moment, with one line and the exit code that shells expect.

Those that the process was started to ignore, as SIGHUP under nohup, stay ignored.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import Any

_SAID: dict[int, str] = {
    signal.SIGINT: "interrupted",
    signal.SIGTERM: "terminated",
    signal.SIGHUP: "hung up",
}


class Signalled(KeyboardInterrupt):
    """A signal has come. What tidies up or gives way after Ctrl-C does so after the others."""

    def __init__(self, number: int):
        super().__init__()
        self.number = number


def raise_signalled(number: int, _: Any) -> None:
    """The handler while a program works."""
    raise Signalled(number)


def end_at_once(name: str, stderr: int, number: int, _: Any = None) -> None:
    """The handler where nothing is there to be tidied up, and an exception would be swallowed or
    break something: among imports."""
    with contextlib.suppress(OSError):  # nobody may be there to read it
        os.write(stderr, f"{name}: {_SAID[number]}\n".encode())
    os._exit(128 + number)


def outcome(interrupt: KeyboardInterrupt) -> tuple[int, str]:
    """The exit code, as shells count it, and the line of a program that a signal has ended."""
    number = interrupt.number if isinstance(interrupt, Signalled) else signal.SIGINT
    return 128 + number, ": ".join([_SAID[number], *map(str, interrupt.args)])


def raising() -> list[int]:
    """The signals that raise `Signalled` now; none in a process that is not one of a program."""
    return [number for number in _SAID if signal.getsignal(number) is raise_signalled]


def _program() -> str | None:
    if sys.argv[:1] == ["-m"]:  # of Python, while it looks for the module
        package, _, module = sys.orig_argv[-len(sys.argv)].rpartition(".")
        return module if package.endswith("flags") else None
    name = Path(sys.argv[0]).stem if sys.argv else ""
    return name if name.startswith("zoo-") else None


# What this process was started as, if that is one of the programs: `zoo-train`, or `train` after
# `python -m flags.train`.
PROGRAM = _program()
