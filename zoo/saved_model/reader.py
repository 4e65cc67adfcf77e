"""A SavedModel from anywhere, opened and held against the contract of the signatures."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from zoo.errors import UsageError, reason
from zoo.files import read_json, usable_path
from zoo.formats import check_format
from zoo.manifest import check_manifest
from zoo.saved_model.contract import BOUND_STATUSES, RANKS, SIGNATURES, Signature
from zoo.saved_model.graph import refuse_reaching_out


def open_saved_model(
    folder: str | Path, trust: bool = False
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The signatures of a SavedModel by name, and its model card, empty where it has none.

    Args:
        folder: the version folder.
        trust: load it whatever its operations may do; see `zoo.saved_model.graph`.

    Raises:
        UsageError: it is no SavedModel, is damaged, has a signature that is not ours, or, unless it
            is trusted, operations that reach out of it.
    """
    folder = usable_path(folder, "saved_model")
    if not os.path.isfile(folder / "saved_model.pb"):
        raise UsageError(f"{folder} is not a SavedModel: {_lack(folder)}")
    check_manifest(folder)
    if not trust:
        refuse_reaching_out(folder)
    try:
        loaded = tf.saved_model.load(str(folder))
        functions = dict(loaded.signatures)
    except Exception as error:  # damage has many faces
        raise UsageError(f"{folder} cannot be loaded as a SavedModel: {reason(error)}") from None
    functions.pop("serving_default", None)
    for name, function in functions.items():
        function.keep_alive = loaded  # the signatures hold their variables weakly
        if name in SIGNATURES:
            _check(f"{folder}: its signature {name!r}", function, SIGNATURES[name])
    return functions, _read_card(folder / "assets" / "model_card.json")


def _lack(folder: Path) -> str:
    versions = [
        file.parent for file in folder.glob("*/saved_model.pb") if file.parent.name.isdecimal()
    ]
    newest = max(versions, key=lambda version: int(version.name), default=None)
    remedy = "" if newest is None else f"; expected one of its versions, as {newest}"
    return f"it has no saved_model.pb{remedy}"


def _check(what: str, function: Any, signature: Signature) -> None:
    positional, named = function.structured_input_signature
    taken = {s.name: s.shape.rank for s in (*positional, *named.values())}
    expected = {name: RANKS[name] for name in signature.inputs}
    if taken != expected:
        raise UsageError(f"{what} takes {_listed(taken)}; expected {_listed(expected)}")
    given = function.structured_outputs
    if not set(signature.outputs) <= set(given):
        wanted = ", ".join(sorted(signature.outputs))
        raise UsageError(f"{what} gives {', '.join(given)}; expected {wanted}")


def _listed(inputs: Mapping[str, int | None]) -> str:
    return ", ".join(f"{name} of {rank} dimensions" for name, rank in inputs.items()) or "nothing"


def _read_card(file: Path) -> dict[str, Any]:
    if not file.exists():
        return {}
    card = read_json(file)
    if not isinstance(card, dict):
        raise UsageError(f"{file} is not a model card: expected an object")
    check_format(card, file)
    if card.get("bound_status", BOUND_STATUSES[0]) not in BOUND_STATUSES:
        known = ", ".join(BOUND_STATUSES)
        raise UsageError(f"{file}: bound_status={card['bound_status']!r}: expected one of {known}")
    if not isinstance(card.get("prior", ""), str):
        raise UsageError(f"{file}: prior={card['prior']!r}: expected a name")
    if type(card.get("step")) not in (int, type(None)):
        raise UsageError(f"{file}: step={card['step']!r}: expected a whole number")
    return card
