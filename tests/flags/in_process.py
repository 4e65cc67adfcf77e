"""The programs in this process: faster than one of its own, where the process is not the point."""

from importlib import import_module

import pytest

from zoo.flags import program


def call(name, *arguments):
    """Runs a program and returns its exit code."""
    module = import_module(f"zoo.flags.{name}")
    with pytest.raises(SystemExit) as end:
        program.run_program(
            module.main, module.define, module.__doc__, [f"zoo-{name}", *map(str, arguments)]
        )
    return end.value.code


def contents(folder):
    """Every file below a folder with its bytes, and every folder; locks aside."""
    files = (f for f in folder.rglob("*") if not f.name.endswith(".lock"))
    return {f: f.read_bytes() if f.is_file() else None for f in files}
