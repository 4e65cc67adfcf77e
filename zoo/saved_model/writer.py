"""Signatures -> a SavedModel."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf

DEFAULT_SIGNATURE = "decode"  # every model has it: one input, deterministic


def write_saved_model(
    folder: Path,
    functions: Mapping[str, tf.types.experimental.PolymorphicFunction],
    model_card: Path | None = None,
) -> list[tf.Variable]:
    """Writes `tf.function`s with an input signature as a SavedModel.

    It holds only what they touch: critics and optimisers stay behind, each weight is stored once.

    Args:
        folder: where to.
        functions: the signatures by name; `decode` is the default one as well.
        model_card: a JSON file that goes with it, into `assets/`.

    Returns:
        The variables that it holds.

    Raises:
        tf.errors.OpError: the folder cannot be written.
    """
    graphs = [function.get_concrete_function().graph for function in functions.values()]
    used = {id(variable): variable for graph in graphs for variable in graph.variables}
    module = tf.Module()
    module.weights = list(used.values())
    if model_card is not None:
        module.model_card = tf.saved_model.Asset(str(model_card))
    signatures = dict(functions)
    if DEFAULT_SIGNATURE in signatures:
        signatures = {"serving_default": signatures[DEFAULT_SIGNATURE], **signatures}
    tf.saved_model.save(module, str(folder), signatures=signatures)
    return list(used.values())
