"""Presets: documented settings to begin with, by data set and model.

`--preset=cifar10/vgh` stands for the lines of `presets/cifar10.flags`, then those of the model:
`--model=vgh` or those of its file in `presets/models`, then those of `presets/cifar10/vgh.flags`
if there is one.
"""

from __future__ import annotations

from pathlib import Path

from zoo.errors import UsageError, expected_of
from zoo.registry import MODELS

FOLDER = Path(__file__).parent / "presets"


def names() -> list[str]:
    """All presets: each data set with each model, and what has a file of its own."""
    models = [*MODELS, *(file.stem for file in (FOLDER / "models").glob("*.flags"))]
    found = {f"{file.stem}/{model}" for file in FOLDER.glob("*.flags") for model in models}
    found |= {f"{f.parent.name}/{f.stem}" for f in FOLDER.glob("*/*.flags")}
    return sorted(name for name in found if not name.startswith("models/"))


def arguments_of(name: str) -> list[str]:
    """The command line that a preset stands for.

    Raises:
        UsageError: there is none of that name.
    """
    known = names()
    if name not in known:
        raise UsageError(f"preset={name!r} is not known: {expected_of(name, known)}")
    dataset, model = name.split("/")
    files = [FOLDER / f"{dataset}.flags", FOLDER / "models" / f"{model}.flags"]
    first, second = (file.exists() for file in files)
    lines = [f"--flagfile={files[0]}"] if first else []
    lines.append(f"--flagfile={files[1]}" if second else f"--model={model}")
    own = FOLDER / dataset / f"{model}.flags"
    return [*lines, f"--flagfile={own}"] if own.exists() else lines


def settings_of(name: str) -> list[str]:
    """The flags that a preset stands for, each once, as the last of its files has it."""
    chosen: dict[str, str] = {}
    for argument in arguments_of(name):
        _, _, file = argument.partition("--flagfile=")
        for line in Path(file).read_text(encoding="utf-8").splitlines() if file else [argument]:
            if line.startswith("--"):
                chosen[line.partition("=")[0]] = line
    return list(chosen.values())


def expand(arguments: list[str]) -> list[str]:
    """Puts what `--preset` stands for in front, so that the flags that follow override it."""
    expanded = []
    for i, argument in enumerate(arguments):
        name, _, value = argument.lstrip("-").partition("=")
        if name == "preset" and argument.startswith("-"):
            following = arguments[i + 1] if i + 1 < len(arguments) else ""
            expanded += arguments_of(value or following)
    return [*expanded, *arguments]
