"""Handlers of signals. Those that a process was started to ignore stay ignored, as Ctrl-C
in a background job of a shell and SIGHUP under nohup."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

Handler = Callable[[int, Any], None]
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # what asks a process to end


def handle(handler: Handler, numbers: Iterable[int] = ENDING) -> dict[int, Any]:
    """Gives those of the signals that are not ignored to `handler`; returns the handlers before."""
    if threading.current_thread() is not threading.main_thread():
        return {}  # Python gives signals to the main thread only
    heard = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    return {number: signal.signal(number, handler) for number in heard}


@contextlib.contextmanager
def handled(handler: Handler, numbers: Iterable[int] = ENDING) -> Iterator[None]:
    """Does so while the block lasts."""
    before = handle(handler, numbers)
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, signal.SIG_DFL if previous is None else previous)
