"""A trained run as a SavedModel."""

if __name__ == "export":  # imported from the top of a checkout
    from zoo.aliases import alias

    alias("export")
