"""The command line: one module per program.

This is imported before any of them: from here on, signals find a program that knows what to do.
"""

if __name__ == "flags":  # imported from the top of a checkout
    from zoo.aliases import alias

    alias("flags")
else:
    import functools

    from zoo.flags import signals
    from zoo.handlers import handle

    if signals.PROGRAM:
        handle(functools.partial(signals.end_at_once, signals.PROGRAM, 2))
