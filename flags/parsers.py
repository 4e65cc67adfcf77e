"""How values on the command line are read: whole numbers, and one of several words."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from absl import flags

from zoo.errors import expected_of
from zoo.settings import is_choice


class WholeParser(flags.IntegerParser):
    """Whole numbers, also as `1e5`."""

    def convert(self, argument: int | str) -> int:
        """The number; raises `ValueError` where it is none, or no whole one."""
        try:
            return super().convert(argument)
        except ValueError:
            with contextlib.suppress(ValueError):
                if float(argument).is_integer():  # False of what is not finite
                    return int(float(argument))
            raise ValueError("expected a whole number, as 1000 or 1e3") from None


class ChoiceParser(flags.EnumParser):
    """One of several words; a mistyped one is told what it resembles."""

    def parse(self, argument: str) -> str:
        """The word; raises `ValueError` where it is none of them."""
        if not is_choice(argument, self.enum_values):
            raise ValueError(expected_of(argument, self.enum_values))
        return argument


def define_whole(name: str, default: int | None, help: str, flag_values: flags.FlagValues) -> None:
    """Defines a flag that takes a whole number."""
    flags.DEFINE(WholeParser(), name, default, help, flag_values, flags.ArgumentSerializer())


def define_choice(
    name: str, default: str | None, choices: Sequence[str], help: str, flag_values: flags.FlagValues
) -> None:
    """Defines a flag that takes one of `choices`."""
    help = f"<{'|'.join(choices)}>: {help}"
    serializer = flags.ArgumentSerializer()
    flags.DEFINE(ChoiceParser(choices), name, default, help, flag_values, serializer)
