"""The state of a model under names that are the same in every process."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zoo.errors import UsageError

OPTIMIZER = "optimizer/"  # what the names of the optimisers' entries begin with
AVERAGE = "average/"  # what stands before the name of a weight whose average it is
_COUNTER = re.compile(r"_\d+$")


def stable_names(paths: Sequence[str]) -> list[str]:
    """Paths of variables, in which the number that Keras gives a layer, its place among all of its
    kind that the process has made, is replaced by its place among its siblings."""
    kinds: dict[tuple[str, str], list[str]] = {}  # layers of a kind below a parent
    seen: dict[str, int] = {}
    names = []
    for path in paths:
        *layers, leaf = path.split("/")
        name = parent = ""
        for layer in layers:
            kind = _COUNTER.sub("", layer)
            alike = kinds.setdefault((parent, kind), [])
            if layer not in alike:
                alike.append(layer)
            place = alike.index(layer)
            name += f"{kind}_{place}/" if place else f"{kind}/"
            parent += f"{layer}/"
        name += leaf
        seen[name] = seen.get(name, 0) + 1
        # Layers that their author gave one name.
        names.append(name if seen[name] == 1 else f"{name}.{seen[name]}")
    return names


def for_inference(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What a model that is not trained takes of a state: its averaged weights in the place of the
    last ones, where there are such, and nothing that trains it."""
    return {
        name: values.get(AVERAGE + name, value)
        for name, value in values.items()
        if not name.startswith((OPTIMIZER, AVERAGE))
    }


def load_state(state: Mapping[str, Any], values: Mapping[str, np.ndarray]) -> None:
    """Assigns `values` to the variables of the same names: each of them, and none is left over.

    Raises:
        UsageError: a name, the order of the names or a shape differs; nothing is assigned then.
    """
    if list(values) != list(state):
        lacking, strange = (
            sorted(state.keys() - values.keys()),
            sorted(values.keys() - state.keys()),
        )
        parts = [
            f"{what} {', '.join(names[:3])}{', ...' if names[3:] else ''}"
            for what, names in (("it lacks", lacking), ("it has", strange))
            if names
        ]
        raise UsageError("; ".join(parts) or "its entries stand in another order")
    for name, variable in state.items():
        if values[name].shape != tuple(variable.shape):
            raise UsageError(
                f"{name} has the shape {values[name].shape}: expected {tuple(variable.shape)}"
            )
    for name, variable in state.items():
        variable.assign(values[name])


def fingerprint(values: Mapping[str, np.ndarray]) -> str:
    """16 hex digits of names, shapes and all bytes."""
    digest = hashlib.sha256()
    for name, value in values.items():
        digest.update(json.dumps([name, str(value.dtype), value.shape]).encode())
        digest.update(np.ascontiguousarray(value).data)
    return digest.hexdigest()[:16]
