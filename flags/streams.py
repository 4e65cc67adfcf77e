"""The standard streams of a process that was started without them, as by a daemon, or outlives its
terminal."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import TYPE_CHECKING

from absl import logging

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_STREAMS = (("stdin", os.O_RDONLY, "r"), ("stdout", os.O_WRONLY, "w"), ("stderr", os.O_WRONLY, "w"))


def open_missing() -> None:
    """Opens the null device in the place of each standard stream that is closed.

    The next file that is opened would get its number otherwise, a checkpoint, say, and take what is
    printed.
    """
    for number, (name, access, mode) in enumerate(_STREAMS):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number is given out, and those below are taken by now.
            os.open(os.devnull, access)
            os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, closefd=False))
    handler = logging.get_absl_handler().python_handler
    if handler.stream is None:  # taken when absl was imported
        handler.setStream(sys.stderr)


class _Terminal(io.FileIO):
    """A terminal that takes whatever is written to it once it is gone, when nobody can read it."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return memoryview(data).nbytes


def outlive_terminals() -> None:
    """Lets nothing fail that is printed to a terminal which has been closed: what SIGHUP asks for,
    a last checkpoint, say, is yet to come."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper) and stream.isatty():
            stream.flush()
            binary = io.BufferedWriter(_Terminal(stream.fileno(), "w", closefd=False))
            text = io.TextIOWrapper(binary, stream.encoding, stream.errors, line_buffering=True)
            setattr(sys, name, text)
