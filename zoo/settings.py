"""Fields of configurations: each carries its help text and its bounds, and is checked.

Imports nothing heavy: the flags of the programs are generated from these fields.
"""

from __future__ import annotations

import dataclasses
import math
import numbers
import os
from collections.abc import Sequence
from typing import Any, NoReturn, TypeVar

from zoo.errors import UsageError, expected_of, unknown_setting
from zoo.files import encodable, user_path

LARGEST_INT = 2**31 - 1
LARGEST_FLOAT = 3.4e38  # of float32, in which all is computed
_REAL: Any = numbers.Real  # NumPy's numbers are of it too
_PLAIN = (str, numbers.Real, list, tuple, dict, os.PathLike, type(None))

_Self = TypeVar("_Self", bound="Checked")  # typing.Self came with Python 3.11


def setting(
    default: Any,
    help: str,
    *,
    choices: tuple[str, ...] | None = None,
    path: bool = False,
    above: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
) -> Any:
    """A dataclass field that carries what its flag and its validation need.

    Args:
        default: value when nothing is said; None means "what the model or data set prescribes".
        help: one sentence for `--help`.
        choices: accepted strings; see `is_choice`.
        path: it names a file or folder, and is kept so that it does from any working directory.
        above: exclusive lower bound of a number.
        at_least: inclusive lower bound of a number.
        at_most: inclusive upper bound, far above what anyone trains: for slips of the hand that
            would fill the memory.
    """
    bounds = {"above": above, "at_least": at_least, "at_most": at_most}
    metadata = {"help": help, "choices": choices, "path": path, **bounds}
    if isinstance(default, dict):
        return dataclasses.field(default_factory=lambda: dict(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def check_seed(seed: Any) -> int:
    """A seed that is given.

    Raises:
        UsageError: it is none; of others than these, several would draw the same.
    """
    whole = isinstance(seed, numbers.Integral) and not isinstance(seed, bool)
    if not whole or not 0 <= seed <= LARGEST_INT:
        raise UsageError(f"seed={seed!r} is not accepted: expected 0 to {LARGEST_INT}")
    return int(seed)


def is_choice(value: str, choices: Sequence[str]) -> bool:
    """Whether a text is one of `choices`; `tfds:NAME` there stands for `tfds:` and any name."""
    kind, _, name = value.partition(":")
    return value in choices or (bool(name) and f"{kind}:NAME" in choices)


def _check(field: dataclasses.Field, value: Any) -> Any:
    """Returns `value` in the field's type, or raises `UsageError`."""
    choices, above, at_least, at_most = (
        field.metadata[k] for k in ("choices", "above", "at_least", "at_most")
    )
    kind = field.type.removesuffix(" | None")
    if value is None and field.type.endswith("| None"):
        return None

    def refuse(accepted: str) -> NoReturn:
        # Of an array, say, nobody wants to read the numbers.
        shown = repr(value) if isinstance(value, _PLAIN) else f"a {type(value).__name__}"
        raise UsageError(f"{field.name}={shown} is not accepted: expected {accepted}")

    if kind == "bool":
        if not isinstance(value, bool):
            refuse("true or false")
    elif kind in ("int", "float"):
        if isinstance(value, bool) or not isinstance(value, _REAL):
            refuse("a whole number" if kind == "int" else "a number")
        if not abs(value) < math.inf or (kind == "int" and value != int(value)):
            refuse("a whole number" if kind == "int" else "a finite number")
        if abs(value) > (LARGEST_INT if kind == "int" else LARGEST_FLOAT):
            refuse("a number below " + ("2**31" if kind == "int" else f"{LARGEST_FLOAT:.3g}"))
        value = int(value) if kind == "int" else float(value)
        if above is not None and not value > above:
            refuse(f"a number above {above}")
        if at_least is not None and not value >= at_least:
            refuse(f"a number of at least {at_least}")
        if at_most is not None and not value <= at_most:
            refuse(f"a number of at most {at_most}")
    elif kind == "str":
        if field.metadata["path"] and isinstance(value, os.PathLike):
            value = os.fspath(value)
        if not isinstance(value, str) or not value or not encodable(value):
            refuse("a text")
        if choices is not None and not is_choice(value, choices):
            raise UsageError(f"{field.name}={value!r} is not known: {expected_of(value, choices)}")
        # An address, as gs://bucket of TensorFlow Datasets, is no path of this machine.
        if field.metadata["path"] and "://" not in value:
            value = os.path.realpath(user_path(value, field.name))
    return value


@dataclasses.dataclass(frozen=True)
class Checked:
    """Validates every field on construction."""

    @classmethod
    def create(cls: type[_Self], **settings: Any) -> _Self:
        """As the constructor, with one line for a setting that does not exist.

        Raises:
            UsageError: a setting is unknown or its value is not accepted.
        """
        for name, value in settings.items():
            if name not in cls.__dataclass_fields__:
                raise UsageError(unknown_setting(name, value, cls.__dataclass_fields__))
        return cls(**settings)

    def replace(self: _Self, **settings: Any) -> _Self:
        """A copy with other values of these settings, as `dataclasses.replace` makes it."""
        return dataclasses.replace(self, **settings)

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, _check(field, getattr(self, field.name)))
