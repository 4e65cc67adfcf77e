"""The standard streams of a process that was started without them, as by a daemon."""

from __future__ import annotations

import os
import sys

from absl import logging

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
