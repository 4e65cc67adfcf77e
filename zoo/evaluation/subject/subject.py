"""What is measured: a run or a SavedModel, behind the signatures of both.

A SavedModel from elsewhere with these signatures is measured just the same; images from elsewhere
are, in `zoo.evaluation.subject.samples`.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import tensorflow as tf

from zoo.data.images import ImageDataset
from zoo.errors import UsageError
from zoo.evaluation.gaussians import log_normal, normal_sampler
from zoo.noise import row_seeds
from zoo.pixels import as_floats
from zoo.registry import STANDARD_NORMAL
from zoo.run import Run
from zoo.saved_model.contract import SIGNATURES, require
from zoo.saved_model.reader import open_saved_model
from zoo.saved_model.signatures import signature_functions

_T = TypeVar("_T")


class Subject:
    """A model behind its signatures, always in inference mode.

    Args:
        name: how errors and records call it.
        functions: the signatures, called with named NumPy arrays.
        bound_status: one of `zoo.saved_model.contract.BOUND_STATUSES`.
        weights: fingerprint that tells this state of the model from all others.
        step: of the checkpoint; None where it is unknown.
        cache: file for the encodings of the data; None for none.
        likelihood: key in `zoo.registry.LIKELIHOODS`; None where it is unknown or
            there is none.
        prior: key in `zoo.registry.PRIORS`.

    Attributes:
        batch_size: rows a call of a signature; no result depends on it.
        available: how many samples there are; None for as many as anyone asks for.
    """

    batch_size = 250
    available: int | None = None

    def __init__(
        self,
        name: str,
        functions: Mapping[str, tf.types.experimental.ConcreteFunction],
        bound_status: str,
        weights: str,
        step: int | None = None,
        cache: Path | None = None,
        likelihood: str | None = None,
        prior: str = STANDARD_NORMAL,
    ):
        self.name, self.functions = name, functions
        self.bound_status, self.weights, self.step = bound_status, weights, step
        self.cache = cache
        self.likelihood, self.prior = likelihood, prior
        self._model: Any = None

    @classmethod
    def of_run(cls, run: Run) -> Subject:
        """The checkpoint of a run that was opened with it, the newest by default."""
        model = run.model
        functions = {n: f.get_concrete_function() for n, f in signature_functions(model).items()}
        subject = cls(
            run.name,
            functions,
            model.bound_status,
            model.fingerprint,
            int(model.step.numpy()),
            run.encodings_file,
            model.config.likelihood,
            model.config.prior or STANDARD_NORMAL,
        )
        subject._model = model  # whose variables the graphs refer to weakly
        return subject

    @classmethod
    def of_saved_model(cls, folder: str | Path, trust: bool = False) -> Subject:
        """A SavedModel; its card, where it has one, tells the step, the status of its bound, the
        likelihood and the prior, N(0, I) where nothing is said.

        Raises:
            UsageError: `open_saved_model` refuses it, or it has none of the signatures.
        """
        functions, card = open_saved_model(folder, trust)
        if not any(name in functions for name in SIGNATURES):
            names = ", ".join(functions) or "none"
            raise UsageError(
                f"{folder} has none of the signatures {', '.join(SIGNATURES)}; it has {names}"
            )
        functions = {name: f for name, f in functions.items() if name in SIGNATURES}
        status = card.get("bound_status", "estimate" if "elbo" in functions else "not_available")
        return cls(
            str(Path(folder).resolve()),
            functions,
            status,
            _fingerprint(Path(folder)),
            card.get("step"),
            likelihood=card.get("likelihood"),
            prior=card.get("prior", STANDARD_NORMAL),
        )

    @functools.cached_property
    def _made(self) -> dict[Any, Any]:
        return {}

    def once(self, key: Any, make: Callable[[], _T]) -> _T:
        """What `make` gives, made once: what metrics of this subject share under `key`."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    @functools.cached_property
    def latent_size(self) -> int:
        """D, as the signatures state it.

        Raises:
            UsageError: none of them does.
        """
        return self._stated("z", 2)[0]

    @functools.cached_property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C), as the signatures state it.

        Raises:
            UsageError: none of them does.
        """
        height, width, channels = self._stated("images", 4)
        return height, width, channels

    def _stated(self, tensor: str, rank: int) -> tuple[int, ...]:
        """The shape of one row of `tensor` in the first signature that states it in full."""
        for name in filter(self.functions.__contains__, SIGNATURES):
            function = self.functions[name]
            positional, named = function.structured_input_signature
            inputs = {**{spec.name: spec for spec in positional}, **named}
            for tensors in (inputs, function.structured_outputs):
                shape = tensors[tensor].shape if tensor in tensors else tf.TensorShape(None)
                if shape.rank == rank and None not in shape[1:]:
                    return tuple(shape[1:])
        raise UsageError(
            f"{self.name}: no signature states the shape of `{tensor}`: expected one with all "
            "dimensions but the first"
        )

    def require(self, *signatures: str) -> None:
        """Raises `UsageError` where one of these signatures is missing."""
        for signature in signatures:
            require(self.functions, signature, self.name)

    def apart(self, seed: int) -> tuple[Subject, Subject]:
        """What an estimator learns from, and what it is then judged by, which have no image in
        common where the rows are others: twice itself, of which there are ever more samples."""
        return self, self

    def at_most(self, count: int) -> int:
        """So many samples, or as many as there are."""
        return count if self.available is None else min(count, self.available)

    def require_shape_of(self, dataset: ImageDataset) -> None:
        """Raises `UsageError` where the images of a data set have another shape than its own."""
        if dataset.image_shape != self.image_shape:
            raise UsageError(
                f"{dataset.name} has images {dataset.image_shape}, {self.name} makes "
                f"{self.image_shape}"
            )

    @property
    def has_standard_prior(self) -> bool:
        """Whether p(z) = N(0, I)."""
        return self.prior == STANDARD_NORMAL

    def log_prior(self, z: np.ndarray) -> np.ndarray:
        """log p(z) of codes `[M, D]`: float64 `[M]`, nats.

        Raises:
            UsageError: the prior is not N(0, I), and its density not among the signatures.
        """
        if self.has_standard_prior:
            return log_normal(z)
        return self.all("log_prior", z=np.asarray(z, np.float32))["log_prior"].astype(np.float64)

    def prior_sampler(self, latent_size: int, seed: int) -> Callable[[int], np.ndarray]:
        """A count -> that many draws of p(z), float32 `[count, latent_size]`, fresh at every
        call.

        Raises:
            UsageError: the prior is not N(0, I), and its draws not among the signatures.
        """
        if self.has_standard_prior:
            return normal_sampler(latent_size, seed)
        self.require("sample_prior")
        drawn = 0

        def draw(count: int) -> np.ndarray:
            nonlocal drawn
            first, drawn = drawn, drawn + count
            return self.all("sample_prior", seed=seed, first_row=first, count=count)["z"]

        return draw

    def check_prior(self) -> None:
        """Raises `UsageError` where `log_prior` or `prior_sampler` will."""
        if not self.has_standard_prior:
            self.require("log_prior", "sample_prior")

    def gives(self, signature: str, *outputs: str) -> bool:
        """Whether a signature that it has gives these outputs, as far as it states them."""
        stated = getattr(self.functions[signature], "structured_outputs", None)
        return stated is None or set(outputs) <= set(stated)

    def batches(
        self,
        signature: str,
        batch_size: int | None = None,
        seed: int | None = None,
        first_row: int = 0,
        count: int | None = None,
        **inputs: np.ndarray,
    ) -> Iterator[dict[str, np.ndarray]]:
        """Calls a signature batch by batch.

        Args:
            signature: its name.
            batch_size: rows a call; the subject's own by default.
            seed: of the evaluation; row `i` gets the seed number `first_row + i`. Leave it out
                where the signature takes none.
            first_row: see `seed`.
            count: of rows that have a seed only; of others the inputs tell it.
            **inputs: arrays with one row per example; uint8 images become floats in [0, 1].

        Yields:
            NumPy outputs of each batch, in order.

        Raises:
            UsageError: there is no such signature, or it gives a value that is not finite.
        """
        self.require(signature)
        batch_size = batch_size or self.batch_size
        function = self.functions[signature]
        total = count if count is not None else len(next(iter(inputs.values())))
        for start in range(0, total, batch_size):
            stop = min(start + batch_size, total)
            feed = {name: as_floats(values[start:stop]) for name, values in inputs.items()}
            if seed is not None:
                feed["seed"] = row_seeds(seed, first_row + start, stop - start)
            outputs = function(**{name: tf.constant(value) for name, value in feed.items()})
            outputs = {name: value.numpy() for name, value in outputs.items()}
            for name, values in outputs.items():
                if not np.isfinite(values).all():
                    raise UsageError(
                        f"{self.name}: its {signature} gives {name} that are not finite: expected "
                        "finite numbers"
                    )
            yield outputs

    def all(self, signature: str, **arguments: Any) -> dict[str, np.ndarray]:
        """`batches`, concatenated."""
        parts = list(self.batches(signature, **arguments))
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _fingerprint(saved_model: Path) -> str:
    """16 hex digits of graph and variables."""
    digest = hashlib.sha256((saved_model / "saved_model.pb").read_bytes())
    for file in sorted((saved_model / "variables").glob("*")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
