"""What all programs share: their flags' definitions, parsing, and how a mistake is reported."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from absl import flags
from absl import logging as absl_logging

from zoo.config import BEST, NEWEST, RunConfig
from zoo.errors import UsageError, WorkerLost, is_out_of_memory, reason
from zoo.flags import completion, parsers, paths, preset, signals, streams
from zoo.handlers import handle, handled
from zoo.settings import LARGEST_INT
from zoo.versions import versions

# Exit codes beside 0.
USAGE_ERROR = 2
WORKER_LOST = 3
EXIT_CODES = """\
--version alone prints the version.
Exit codes: 0 done; 2 a mistake in the command, an unusable file or disk, too little memory, or a
number that is not finite; 130, 143, 129 stopped by SIGINT (Ctrl-C), SIGTERM, SIGHUP, unless said
otherwise above; each of these told in one line; 1 a bug, with its traceback."""

_ABSL = {"int": parsers.define_whole, "float": flags.DEFINE_float, "bool": flags.DEFINE_bool}

# Flags that several programs share, each with its one definition.
SHARED = {
    "run_dir": (paths.define_path, None, "Folder of the run."),
    "saved_model": (paths.define_path, None, "Version folder of a SavedModel with our signatures."),
    "checkpoint": (
        functools.partial(parsers.define_choice, choices=(NEWEST, BEST)),
        NEWEST,
        "Which of the run's checkpoints; the best is that of --keep_best.",
    ),
    "pretrained": (
        paths.define_path,
        None,
        "A trained model that comes with the zoo, as color_mnist_mini/vae, or a folder that "
        "zoo.save_pretrained wrote.",
    ),
    "output": (paths.define_path, None, "Where to write."),
    "num_samples": (parsers.define_whole, None, "How many samples to draw."),
    "trust": (
        flags.DEFINE_bool,
        False,
        "Load a SavedModel even if its operations reach files, Python or the network; see "
        "SECURITY.md.",
    ),
    "preset": (flags.DEFINE_string, None, "Documented settings to begin with, as color_mnist/vae."),
}


def define_shared(values: flags.FlagValues, *names: str, **helps: str) -> None:
    """Defines shared flags; `helps` replaces the help text of one."""
    for name in names:
        define, default, text = SHARED[name]
        define(name, default, help=helps.get(name, text), flag_values=values)


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
            default = None if field.default is dataclasses.MISSING else field.default
            if field.metadata["path"]:
                paths.define_path(field.name, default, text, flag_values=values)
            elif choices:
                parsers.define_choice(field.name, default, choices, text, flag_values=values)
            elif kind in _ABSL:
                _ABSL[kind](field.name, default, text, flag_values=values)
            else:
                flags.DEFINE_string(field.name, default, text, flag_values=values)


def settings(values: flags.FlagValues, *sections: type, given_only: bool = False) -> dict[str, Any]:
    """The settings of these dataclasses of the configuration among the flags; of those of a run by
    default."""
    chosen = {}
    sections = sections or tuple(RunConfig.SECTIONS.values())
    for field in [field for section in sections for field in dataclasses.fields(section)]:
        if field.name in values and (values[field.name].present or not given_only):
            value = values[field.name].value
            if field.type == "dict" and value is None:
                continue
            chosen[field.name] = value
    return chosen


def parse(values: flags.FlagValues, argv: list[str], about: str) -> None:
    """Parses `argv` into `values`; `--help`, `--completion=SHELL` and `--version` alone print and
    exit with 0.

    Raises:
        UsageError: a flag is unknown or its value is not accepted.
    """
    program = Path(argv[0]).stem
    if argv[1:] == ["--version"]:  # alone: beside others it may be a program's own
        _print_and_exit(_version(program))
    flags.DEFINE_bool("help", False, "Print this and exit.", short_name="h", flag_values=values)
    completion.define(values)
    expanded = preset.expand(argv[1:])
    paths.check_flagfiles(expanded)
    try:
        rest = values([argv[0], *expanded])
    except (flags.Error, UnicodeDecodeError) as error:  # the latter of a flagfile
        raise UsageError(str(error)) from None
    if values["help"].value:
        _print_and_exit(f"{about.strip()}\n\n{EXIT_CODES}\n\nFlags:{values.get_help()}")
    if values["completion"].value:
        _print_and_exit(completion.script(program, values, values["completion"].value))
    if len(rest) > 1:
        raise UsageError(f"unexpected argument {rest[1]!r}: expected flags only, as --name=value")
    if "preset" in values and values.preset is not None and len(expanded) == len(argv) - 1:
        raise UsageError(
            f"preset={values.preset!r} stands in a flagfile: expected it on the command line"
        )


def _print_and_exit(text: str) -> NoReturn:
    print(text)
    _flush_stdout()
    raise SystemExit(0)


def _version(program: str) -> str:
    """As `zoo-train 0.1.0 (tensorflow 2.21.0, keras 3.12.0, ...)`."""
    found = versions()
    own = found.pop("distribution-matching-zoo", "of a checkout that is not installed")
    return f"{program} {own} ({', '.join(f'{k} {v}' for k, v in found.items())})"


@contextlib.contextmanager
def _quiet_stderr() -> Iterator[int]:
    """Keeps what native code prints at start-up off stderr, and shows it if the block fails; gives
    the number of the stderr outside."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), 2)
        try:
            yield kept
        except Exception:
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
    if os.path.expanduser("~") == "~":  # no home folder is known: Keras would make one called so
        os.environ.setdefault("KERAS_HOME", os.path.join(os.devnull, "keras"))
    with _quiet_stderr() as stderr:
        end = functools.partial(signals.end_at_once, Path(sys.argv[0]).stem, stderr)
        with handled(end, signals.raising()):
            import keras  # noqa: F401
            import tensorflow as tf

            tf.config.list_physical_devices()
    tf.get_logger().setLevel(logging.WARNING)  # not where each export was before it was whole


def run_program(
    main: Callable[[flags.FlagValues], int | None],
    define: Callable[[flags.FlagValues], None],
    about: str,
    argv: list[str] | None = None,
) -> None:
    """Runs a program and exits; see `EXIT_CODES`; all but 0 and 1 come with one line on stderr.

    Args:
        main: the program; returns its exit code, None for 0. Calls `start_tensorflow` once it has
            checked what can be checked without.
        define: defines its flags.
        about: the head of its help.
        argv: the command line, the process's own by default.
    """
    argv = sys.argv if argv is None else argv
    try:
        with handled(signals.raise_signalled):
            code, line = _outcome(main, define, about, argv)
    except KeyboardInterrupt as interrupt:
        code, line = signals.outcome(interrupt)
    if line:
        # A value may have what stderr cannot show.
        shown = " ".join(line.split()).encode("utf-8", "backslashreplace").decode()
        print(f"{Path(argv[0]).stem}: {shown}", file=sys.stderr)
    if signals.PROGRAM:  # all is said: a signal that comes now, or again, adds nothing
        handle(lambda *_: os._exit(code))
    raise SystemExit(code)


def _outcome(
    main: Callable[[flags.FlagValues], int | None],
    define: Callable[[flags.FlagValues], None],
    about: str,
    argv: list[str],
) -> tuple[int, str]:
    """Runs a program; returns its exit code, and the line that says why it is not 0."""
    streams.open_missing()
    streams.outlive_terminals()
    absl_logging.use_absl_handler()
    absl_logging.set_verbosity(absl_logging.WARNING)
    logging.getLogger("zoo").setLevel(logging.INFO)  # of others, warnings alone
    flags.FLAGS.mark_as_parsed()  # absl's own, or it warns that they are not
    if isinstance(sys.stdout, io.TextIOWrapper):  # a path may have what the terminal cannot show
        sys.stdout.reconfigure(errors="backslashreplace")
    values = flags.FlagValues()
    define(values)
    try:
        parse(values, argv, about)
        code = main(values) or 0
        _flush_stdout()
        return code, ""
    except UsageError as error:
        return USAGE_ERROR, str(error)
    except WorkerLost as error:
        return WORKER_LOST, str(error)
    except OSError as error:  # full, read-only, forbidden, gone: the system's word is the message
        with contextlib.suppress(UsageError):
            _flush_stdout()
        where = f"{error.filename}: " if error.filename else ""
        return USAGE_ERROR, f"{where}{error.strerror or error}"
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return USAGE_ERROR, f"memory or disk does not suffice: {reason(error)}"


def _flush_stdout() -> None:
    """Flushes what was printed, so that a full disk or a closed pipe is told as any other."""
    try:
        sys.stdout.flush()
    except OSError as error:
        # Python would try again at its end, and complain with a traceback.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        raise UsageError(f"cannot write to standard output: {error.strerror}") from error


def exactly_one(values: flags.FlagValues, *names: str) -> str:
    """The one of these flags that is given; raises `UsageError` for none or several."""
    given = [name for name in names if values[name].value is not None]
    if len(given) != 1:
        listed = " or ".join(f"--{name}" for name in names)
        raise UsageError(f"give {'one of ' if len(names) > 1 else ''}{listed}")
    if not values[given[0]].value:
        raise UsageError(f"{given[0]}='' is not accepted: expected a text that is not empty")
    return given[0]


def check_positive(values: flags.FlagValues, name: str, at_most: int = LARGEST_INT) -> None:
    """Raises `UsageError` for an integer flag that is given and not from 1 to `at_most`."""
    value = values[name].value
    if value is not None and not 1 <= value <= at_most:
        bound = "at least 1" if value < 1 else f"at most {at_most}"
        raise UsageError(f"{name}={value} is not accepted: expected {bound}")
