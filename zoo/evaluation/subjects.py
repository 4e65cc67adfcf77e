"""What is measured: a run or a SavedModel, behind the signatures of both.

A SavedModel from elsewhere with these signatures is measured just the same.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from zoo.errors import UsageError
from zoo.evaluation.saved_models import open_saved_model
from zoo.noise import row_seeds
from zoo.run import Run
from zoo.signatures import require, signature_functions


class Subject:
    """A model behind its signatures, always in inference mode.

    Args:
        name: how errors and records call it.
        functions: the signatures, called with named NumPy arrays.
        bound_status: see `zoo.models.inference.Matching`.
        step: of the checkpoint; None where it is unknown.
        cache: file for the encodings of the data; None for none.
    """

    def __init__(
        self,
        name: str,
        functions: Mapping[str, Callable[..., dict[str, tf.Tensor]]],
        bound_status: str,
        step: int | None,
        cache: Path | None = None,
    ):
        self.name, self.functions = name, functions
        self.bound_status, self.step, self.cache = bound_status, step, cache

    @classmethod
    def of_run(cls, run: Run) -> Subject:
        """The newest checkpoint of a run."""
        model = run.model
        functions = {n: f.get_concrete_function() for n, f in signature_functions(model).items()}
        return cls(
            str(run.path),
            functions,
            model.bound_status,
            int(model.step.numpy()),
            run.path / "encodings.npz",
        )

    @classmethod
    def of_saved_model(cls, folder: str | Path) -> Subject:
        """A SavedModel; its card, where it has one, tells the step and the status of its bound.

        Raises:
            UsageError: it is no SavedModel, or has none of the signatures.
        """
        functions, card = open_saved_model(folder)
        if "decode" not in functions:
            names = ", ".join(functions) or "none"
            raise UsageError(f"{folder} has no signature 'decode'; it has {names}")
        status = card.get("bound_status", "estimate" if "elbo" in functions else "not_available")
        return cls(str(folder), functions, status, card.get("step"))

    @functools.cached_property
    def latent_size(self) -> int:
        """D, from the input of `decode`."""
        return self._inputs("decode")["z"][1]

    @functools.cached_property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C), from the output of `decode`."""
        return tuple(self.functions["decode"].structured_outputs["images"].shape[1:])

    def _inputs(self, signature: str) -> dict[str, tf.TensorShape]:
        positional, named = self.functions[signature].structured_input_signature
        return {s.name: s.shape for s in (*positional, *named.values())}

    def require(self, *signatures: str) -> None:
        """Raises `UsageError` where one of these signatures is missing."""
        for signature in signatures:
            require(self.functions, signature, self.name)

    def batches(
        self, signature: str, batch_size: int = 250, seed: int | None = None, **inputs: np.ndarray
    ) -> Iterator[dict[str, np.ndarray]]:
        """Calls a signature batch by batch.

        Args:
            signature: its name.
            batch_size: rows a call; no result depends on it.
            seed: of the evaluation; row `i` gets the `i`-th of its seeds. Leave it out where the
                signature takes none.
            **inputs: arrays with one row per example; uint8 images become floats in [0, 1]. The one
                input `count` stands for rows that have a seed only.

        Yields:
            NumPy outputs of each batch, in order.
        """
        self.require(signature)
        function = self.functions[signature]
        count = inputs.pop("count", None)
        total = count if count is not None else len(next(iter(inputs.values())))
        for start in range(0, total, batch_size):
            stop = min(start + batch_size, total)
            feed = {name: _floats(values[start:stop]) for name, values in inputs.items()}
            if seed is not None:
                feed["seed"] = row_seeds(seed, start, stop - start)
            outputs = function(**{name: tf.constant(value) for name, value in feed.items()})
            yield {name: value.numpy() for name, value in outputs.items()}

    def all(self, signature: str, **arguments: Any) -> dict[str, np.ndarray]:
        """`batches`, concatenated."""
        parts = list(self.batches(signature, **arguments))
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _floats(values: np.ndarray) -> np.ndarray:
    if values.dtype == np.uint8:
        return values.astype(np.float32) / np.float32(255.0)
    return np.asarray(values, np.float32)
