"""Flags that take a path, and the files that `--flagfile` names."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from itertools import zip_longest

from absl import flags

from zoo.errors import UsageError
from zoo.files import user_path


class PathParser(flags.ArgumentParser):
    """Paths, with `~` expanded: few shells do that behind the `=` of a flag."""

    def parse(self, argument: str) -> str:
        """The path; raises `UsageError` where it begins with `~` and there is no such home. A `/`
        at its end, by which somebody means a folder, stays."""
        if not argument:
            return argument
        path = str(user_path(argument))
        return f"{path}/" if argument.endswith("/") and not path.endswith("/") else path

    def flag_type(self) -> str:
        """As absl calls it."""
        return "path"


class PathsParser(flags.ArgumentParser):
    """Several paths, separated by commas."""

    def parse(self, argument: str | list[str]) -> list[str]:
        """The paths, as `PathParser` takes each."""
        given = argument.split(",") if isinstance(argument, str) else argument
        return [PathParser().parse(path) for path in given]

    def flag_type(self) -> str:
        """As absl calls it."""
        return "paths"


def define_paths(name: str, help: str, flag_values: flags.FlagValues) -> None:
    """Defines a flag that takes several paths."""
    flags.DEFINE(PathsParser(), name, None, help, flag_values, flags.ListSerializer(","))


def define_path(name: str, default: str | None, help: str, flag_values: flags.FlagValues) -> None:
    """Defines a flag that takes a path, as `flags.DEFINE_string` does one that takes a text."""
    flags.DEFINE(PathParser(), name, default, help, flag_values, flags.ArgumentSerializer())


def check_flagfiles(arguments: Sequence[str], above: frozenset[str] = frozenset()) -> None:
    """Sees to it that absl can read the flag files among `arguments` to their ends.

    What is missing or is no text absl tells itself.

    Args:
        arguments: a command line, or the lines of a flag file.
        above: the flag files that led here.

    Raises:
        UsageError: one, or one that it names, is a FIFO, whose reader would wait for ever, or a
            device. The pipe of a shell's `<(...)` is neither.
    """
    for argument, following in zip_longest(arguments, arguments[1:], fillvalue=""):
        name, equals, value = argument.partition("=")
        path = os.path.expanduser((value if equals else following).strip())
        if name.lstrip("-") != "flagfile" or not os.path.exists(path) or path in above:
            continue
        if os.path.isfile(path):
            with open(path, encoding="utf-8", errors="replace") as file:
                check_flagfiles(file.read().splitlines(), above | {path})
        elif not (os.path.samefile(path, os.devnull) or _is_pipe_of_ours(path)):
            raise UsageError(f"flagfile={path} is not accepted: expected a regular file")


def _is_pipe_of_ours(path: str) -> bool:
    """Whether it is an open descriptor, which has no name of its own."""
    return stat.S_ISFIFO(os.stat(path).st_mode) and not os.path.exists(os.path.realpath(path))
