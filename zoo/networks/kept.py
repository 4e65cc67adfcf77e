"""Networks of one's own in a run folder: `networks.json`, Keras's description of each layer.

A folder may come from a stranger. What it names is built from Keras's own classes, but for those
that run code or read files, and from classes that somebody has registered in this process; nothing
is imported by name, and no pickle is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras

from zoo.errors import UsageError, reason
from zoo.files import read_json, write_json
from zoo.formats import FORMAT_VERSION, check_format
from zoo.networks.own import PARTS

FILE = "networks.json"

# Where Keras has what networks are built of.
_MODULES = re.compile(
    r"keras(\.(layers|models|initializers|regularizers|constraints|activations|dtype_policies|ops"
    r"|random|src\.(models|ops)(\.\w+)*))?"
)
# What runs code that comes with it, or reads files.
_REFUSED = {"Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"}
_REFUSED |= {"StringLookup", "IntegerLookup", "TextVectorization", "__lambda__", "__typespec__"}
_VALUES = {"__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__none__"}
_COUNTER = re.compile(r"_\d+$")


def keep(folder: Path, networks: Mapping[str, Any], begun: bool) -> None:
    """Writes the networks of a run into its folder, or sees to it that these are there already.

    Args:
        folder: of the run.
        networks: as `OwnNetworks.get_config` gives them; none for none.
        begun: whether there is a checkpoint.

    Raises:
        UsageError: the run has others, or they could not be read again.
    """
    file = folder / FILE
    before = _content(file) if file.exists() else {}
    if (before or begun) and comparable(before) != comparable(networks):
        named = [", ".join(sorted(part)) or "none" for part in (before, networks)]
        same = " of another form" if named[0] == named[1] else ""
        raise UsageError(
            f"{folder} holds another run: networks of one's own: {named[0]} -> {named[1]}{same}"
        )
    if networks and not before:
        make(networks, "they cannot be kept in a run folder")
        write_json(file, {"format_version": FORMAT_VERSION, "networks": dict(networks)})


def read(folder: Path) -> dict[str, keras.Model]:
    """The networks of the run in a folder, by part, with new weights; none where it has none.

    Raises:
        UsageError: the file is damaged, or has what is not built here.
    """
    file = folder / FILE
    return make(_content(file), str(file)) if file.exists() else {}


def make(networks: Mapping[str, Any], what: str) -> dict[str, keras.Model]:
    """The networks of such descriptions; `what` heads the message of an error.

    Raises:
        UsageError: a class is not allowed or not known, or Keras cannot build it.
    """
    made = {}
    for part, description in networks.items():
        for entry in _entries(description):
            _check(entry, f"{what}: {part}")
        try:
            network = keras.saving.deserialize_keras_object(
                _without_compilation(description), safe_mode=True
            )
        except Exception as error:  # what is damaged fails in Keras in many ways
            raise UsageError(f"{what}: {part} cannot be built: {reason(error)}") from error
        if not isinstance(network, keras.Model):
            raise UsageError(f"{what}: {part} is a {type(network).__name__}: expected a model")
        made[part] = network
    return made


def comparable(description: Any) -> Any:
    """A description without the numbers that Keras counts the layers of a process with."""
    if isinstance(description, Mapping):
        return {key: comparable(value) for key, value in description.items()}
    if isinstance(description, (list, tuple)):
        return [comparable(value) for value in description]
    return _COUNTER.sub("", description) if isinstance(description, str) else description


def _content(file: Path) -> dict[str, Any]:
    content = read_json(file)
    networks = content.get("networks") if isinstance(content, dict) else None
    if not isinstance(networks, dict) or not set(networks) <= set(PARTS):
        raise UsageError(f"{file} is damaged: expected networks for {', '.join(PARTS)}")
    check_format(content, file)
    return networks


def _entries(value: Any) -> Iterator[Mapping[str, Any]]:
    """All that stands for an object in a description."""
    if isinstance(value, Mapping):
        if "class_name" in value:
            yield value
        for inner in value.values():
            yield from _entries(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _entries(inner)


def _check(entry: Mapping[str, Any], what: str) -> None:
    """Raises `UsageError` for an object that is not built."""
    name, module = str(entry["class_name"]), str(entry.get("module"))
    # Keras looks a function up by its name, a class by what it was registered as.
    registered = str(entry.get("config" if name == "function" else "registered_name") or name)
    if keras.saving.get_registered_object(registered) is not None or name in _VALUES:
        return
    if name in _REFUSED:
        raise UsageError(
            f"{what} has a {name}, which runs code or reads files: expected layers without, or "
            "one of your own, registered by keras.saving.register_keras_serializable"
        )
    function = name == "function" and module == "builtins"  # one of Keras's, by its name
    if not function and not _MODULES.fullmatch(module):
        raise UsageError(
            f"{what} has the class {registered} of {module}, which is not registered here: import "
            "what registers it, by keras.saving.register_keras_serializable, first"
        )


def _without_compilation(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _without_compilation(v) for k, v in value.items() if k != "compile_config"}
    return [_without_compilation(v) for v in value] if isinstance(value, (list, tuple)) else value
