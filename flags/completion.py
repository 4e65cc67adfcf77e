"""`--completion=bash|zsh`: a script that completes a program's flags and their values.

eval "$(zoo-train --completion=bash)"
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from absl import flags

from zoo.flags import parsers, paths, preset
from zoo.registry import INSTRUMENTS, METRICS, MODELS

SHELLS = ("bash", "zsh")


def define(values: flags.FlagValues) -> None:
    """The flag `--completion`."""
    help = (
        'Print a script of completions for that shell, as in eval "$(zoo-train --completion=bash)".'
    )
    parsers.define_choice("completion", None, SHELLS, help, flag_values=values)


def script(program: str, values: flags.FlagValues, shell: str) -> str:
    """What that shell is to read, of the program with these flags."""
    return {"bash": _bash, "zsh": _zsh}[shell](program, values)


def _names(values: flags.FlagValues) -> list[str]:
    """All flags but short names and absl's own."""
    return sorted(name for name in values if len(name) > 1)


def _words(name: str, flag: flags.Flag) -> Sequence[str]:
    """The values that a flag takes, where they can be listed."""
    if isinstance(flag.parser, flags.EnumParser):
        return flag.parser.enum_values
    if isinstance(flag.parser, paths.PathParser):  # zoo-serve's model is one
        return ()
    named = {
        "model": lambda: (*MODELS, *INSTRUMENTS),
        "metrics": lambda: ("all", *METRICS),
        "preset": preset.names,
    }
    return named[name]() if name in named else ()


def _bash(program: str, values: flags.FlagValues) -> str:
    """Bash hands over what stands after `=` alone, and takes back as much."""
    cases, names = [], ["--version"]
    files = ["--flagfile=*"]
    for name in _names(values):
        flag = values[name]
        names += [f"--{name}", f"--no{name}"] if flag.boolean else [f"--{name}="]
        if isinstance(flag.parser, paths.PathParser):
            files.append(f"--{name}=*")
        elif words := _words(name, flag):
            listed = shlex.quote(" ".join(words))
            cases.append(f'--{name}=*) COMPREPLY=($(compgen -W {listed} -- "${{word#*=}}")) ;;')
    function = f"_{program.replace('-', '_')}"
    lines = [
        f"{function}() {{",
        '    local line="${COMP_LINE:0:COMP_POINT}"',
        '    local word="${line##*[[:space:]]}"',
        '    case "$word" in',
        f"        {'|'.join(files)})",
        "            local IFS=$'\\n'",
        '            local path="${word#*=}"',
        '            COMPREPLY=($(compgen -f -- "${path/#\\~/$HOME}"))',
        "            compopt -o filenames 2>/dev/null ;;",
        *(f"        {case}" for case in cases),
        "        --*=*) COMPREPLY=() ;;",
        f'        *) COMPREPLY=($(compgen -W {shlex.quote(" ".join(sorted(names)))} -- "$word"))',
        "            [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null ;;",
        "    esac",
        "}",
        f"complete -F {function} {program}",
    ]
    return "\n".join(lines)


def _zsh(program: str, values: flags.FlagValues) -> str:
    """Arguments for zsh's own `_arguments`, which shows each flag's help."""
    lines = [
        "'--version[Print the version and exit.]'",
        "'--flagfile=[A file of flags.]:file:_files'",
    ]
    for name in _names(values):
        flag = values[name]
        help = "".join(c for c in flag.help.partition("\n")[0] if c not in "[]:\\")
        if flag.boolean:
            lines += [shlex.quote(f"--{name}[{help}]"), shlex.quote(f"--no{name}[Not so: {name}.]")]
            continue
        words = _words(name, flag)
        is_path = isinstance(flag.parser, paths.PathParser)
        action = "_files" if is_path else f"({' '.join(words)})" if words else " "
        lines.append(shlex.quote(f"--{name}=[{help}]:{name}:{action}"))
    function = f"_{program.replace('-', '_')}"
    body = " \\\n        ".join(lines)
    return (
        f"#compdef {program}\n{function}() {{\n    _arguments -s \\\n        {body}\n}}\n"
        f"compdef {function} {program}"
    )
