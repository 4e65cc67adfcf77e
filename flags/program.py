"""What all programs share: their flags' definitions, parsing, and how a mistake is reported."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from absl import flags
from absl import logging as absl_logging

from zoo.config import DataConfig, ModelConfig, TrainingConfig
from zoo.errors import UsageError, WorkerLost

PRESETS = Path(__file__).parent / "presets"
USAGE_ERROR, WORKER_LOST = 2, 3

_ABSL = {"int": flags.DEFINE_integer, "float": flags.DEFINE_float, "bool": flags.DEFINE_bool}

# Flags that several programs share, each with its one definition.
SHARED = {
    "run_dir": (flags.DEFINE_string, None, "Folder of the run."),
    "saved_model": (
        flags.DEFINE_string,
        None,
        "Version folder of a SavedModel with our signatures.",
    ),
    "output": (flags.DEFINE_string, None, "Where to write."),
    "num_samples": (flags.DEFINE_integer, None, "How many samples to draw."),
    "preset": (flags.DEFINE_string, None, "Documented settings to begin with, as color_mnist/vae."),
}


def define_shared(values: flags.FlagValues, *names: str, **helps: str) -> None:
    """Defines shared flags; `helps` replaces the help text of one."""
    for name in names:
        define, default, text = SHARED[name]
        define(name, default, helps.get(name, text), flag_values=values)


def define_settings(
    values: flags.FlagValues, *sections: type, only: tuple[str, ...] | None = None
) -> None:
    """Defines one flag per field of the configuration's dataclasses."""
    for section in sections:
        for field in dataclasses.fields(section):
            if only is not None and field.name not in only:
                continue
            text = field.metadata["help"]
            choices = field.metadata["choices"]
            kind = field.type.removesuffix(" | None")
            if choices:
                flags.DEFINE_enum(field.name, field.default, choices, text, flag_values=values)
            elif kind in _ABSL:
                _ABSL[kind](field.name, field.default, text, flag_values=values)
            else:
                default = None if kind == "dict" else field.default
                flags.DEFINE_string(field.name, default, text, flag_values=values)


def settings(values: flags.FlagValues, *, given_only: bool = False) -> dict[str, Any]:
    """The configuration's settings among the flags, as `RunConfig.create` takes them."""
    known = [f for s in (ModelConfig, DataConfig, TrainingConfig) for f in dataclasses.fields(s)]
    chosen = {}
    for field in known:
        if field.name in values and (values[field.name].present or not given_only):
            value = values[field.name].value
            if field.type == "dict" and value is None:
                continue
            chosen[field.name] = value
    return chosen


def _expand_preset(arguments: list[str]) -> list[str]:
    """Puts the flag file of `--preset` in front, so that the flags that follow override it."""
    for i, argument in enumerate(arguments):
        name, _, value = argument.lstrip("-").partition("=")
        if name != "preset" or not argument.startswith("-"):
            continue
        value = value or (arguments[i + 1] if i + 1 < len(arguments) else "")
        file = PRESETS / f"{value}.flags"
        if not file.is_file():
            known = sorted(
                str(f.relative_to(PRESETS))[: -len(".flags")] for f in PRESETS.rglob("*.flags")
            )
            raise UsageError(f"preset={value!r} is not known: expected one of {', '.join(known)}")
        return [f"--flagfile={file}", *arguments]
    return arguments


def parse(values: flags.FlagValues, argv: list[str], about: str) -> None:
    """Parses `argv` into `values`; `--help` prints and exits with 0.

    Raises:
        UsageError: a flag is unknown or its value is not accepted.
    """
    flags.DEFINE_bool("help", False, "Print this and exit.", short_name="h", flag_values=values)
    try:
        rest = values([argv[0], *_expand_preset(argv[1:])])
    except flags.Error as error:
        raise UsageError(str(error)) from None
    if values["help"].value:
        print(f"{about.strip()}\n\nFlags:{values.get_help()}")
        raise SystemExit(0)
    if len(rest) > 1:
        raise UsageError(f"unexpected argument {rest[1]!r}: expected flags only, as --name=value")


@contextlib.contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Keeps what native code prints at start-up off stderr; shows it if the block fails."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), 2)
        try:
            yield
        except BaseException:
            caught.seek(0)
            os.write(kept, caught.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def start_tensorflow() -> None:
    """Imports TensorFlow and Keras without the dozen lines that they print on every start."""
    # Among several workers, the loss of one is one line of ours, not pages of TensorFlow's.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3" if os.environ.get("TF_CONFIG") else "2")
    if os.environ.setdefault("KERAS_BACKEND", "tensorflow") != "tensorflow":
        raise UsageError(
            f"KERAS_BACKEND={os.environ['KERAS_BACKEND']!r}: the zoo needs the tensorflow backend"
        )
    with _quiet_stderr():
        import keras  # noqa: F401
        import tensorflow as tf

        tf.config.list_physical_devices()


def run_program(
    main: Callable[[flags.FlagValues], int | None],
    define: Callable[[flags.FlagValues], None],
    about: str,
    argv: list[str] | None = None,
) -> None:
    """Runs a program: a mistake of the user's is one line on stderr and exit code 2.

    Args:
        main: the program; returns its exit code, None for 0. Calls `start_tensorflow` once it has
            checked what can be checked without.
        define: defines its flags.
        about: the head of its help.
        argv: the command line, the process's own by default.
    """
    argv = sys.argv if argv is None else argv
    absl_logging.use_absl_handler()
    absl_logging.set_verbosity(absl_logging.WARNING)
    values = flags.FlagValues()
    define(values)
    try:
        parse(values, argv, about)
        code = main(values) or 0
    except (UsageError, WorkerLost) as error:
        line = " ".join(str(error).split())
        print(f"{Path(argv[0]).name}: {line}", file=sys.stderr)
        code = USAGE_ERROR if isinstance(error, UsageError) else WORKER_LOST
    raise SystemExit(code)


def exactly_one(values: flags.FlagValues, *names: str) -> str:
    """The one of these flags that is given; raises `UsageError` for none or several."""
    given = [name for name in names if values[name].value is not None]
    if len(given) != 1:
        listed = " or ".join(f"--{name}" for name in names)
        raise UsageError(f"give {'one of ' if len(names) > 1 else ''}{listed}")
    return given[0]


def positive(values: flags.FlagValues, name: str) -> int | None:
    """The value of an integer flag that may be left out; raises `UsageError` below 1."""
    value = values[name].value
    if value is not None and value < 1:
        raise UsageError(f"{name}={value} is not accepted: expected at least 1")
    return value
