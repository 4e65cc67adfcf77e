"""The command line: one module per program."""

if __name__ == "flags":  # imported from the top of a checkout
    from zoo.aliases import alias

    alias("flags")
