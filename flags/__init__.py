"""The command line: one module per program.

This is imported before any of them: from here on, signals find a program that knows what to do.
"""

import functools

from flags import signals

if signals.PROGRAM:
    signals.handle(functools.partial(signals.end_at_once, signals.PROGRAM, 2))
