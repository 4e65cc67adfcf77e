"""The versions of one exported model, loaded when they are asked for."""

from __future__ import annotations

import contextlib
import functools
import re
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import error_codes_pb2, saved_model_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

from zoo.export.serving import tensors
from zoo.export.serving.limits import Limits, Refusal, invalid
from zoo.export.serving.versions import Versions
from zoo.manifest import check_manifest
from zoo.saved_model.graph import refuse_reaching_out

_CODES = {code.value[0]: code for code in grpc.StatusCode}
_DEFAULT = "serving_default"
# What Python puts around the kernel's own message.
_WRAPPING = re.compile(
    r"\AGraph execution error:.*?<stack traces unavailable>\n| \[Op:__inference\w+\]", re.DOTALL
)


class Signature:
    """One signature of a loaded version; called with arrays by name, it returns arrays by name."""

    def __init__(self, function: Any, proto: Any):
        self._function = function
        self.inputs = {
            name: tf.TensorSpec(tf.TensorShape(i.tensor_shape), tf.dtypes.as_dtype(i.dtype), name)
            for name, i in sorted(proto.inputs.items())
        }

    def __call__(self, arrays: dict[str, np.ndarray], outputs: Sequence[str] = ()) -> dict:
        """Runs it.

        Args:
            arrays: what `tensors` made of a request.
            outputs: which outputs; all where it is empty.

        Raises:
            Refusal: the graph refused the inputs, or there is no such output.
        """
        known = sorted(self._function.structured_outputs)
        for name in outputs:
            if name not in known:
                raise invalid(
                    f"output tensor alias not found in signature: {name} Outputs expected to be in "
                    f"the set {{{','.join(known)}}}."
                )
        if len(set(outputs)) < len(outputs):
            raise invalid(f"duplicate output tensor alias: {','.join(outputs)}")
        try:
            results = self._function(**{name: tf.constant(a) for name, a in arrays.items()})
        except tf.errors.OpError as error:
            code = _CODES.get(error.error_code, grpc.StatusCode.INTERNAL)
            raise Refusal(code, _WRAPPING.sub("", error.message)) from None
        return {name: results[name].numpy() for name in outputs or known}


class Version:
    """A loaded version folder.

    Args:
        number: of the version.
        folder: that holds it.
        trust: load it whatever its operations may do; see `zoo.saved_model.graph`.

    Raises:
        UsageError: it is damaged, or not trusted.
    """

    def __init__(self, number: int, folder: Path, trust: bool = False):
        check_manifest(folder)
        if not trust:
            refuse_reaching_out(folder)
        self.number = number
        proto = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
        self.signature_protos = proto.meta_graphs[0].signature_def
        self._loaded = tf.saved_model.load(str(folder))  # signatures hold their variables weakly
        self._signatures = {
            name: Signature(function, self.signature_protos[name])
            for name, function in self._loaded.signatures.items()
        }

    def signature(self, name: str) -> Signature:
        """The signature of this name, the default for none."""
        name = name or _DEFAULT
        if name not in self._signatures:
            raise Refusal(
                grpc.StatusCode.FAILED_PRECONDITION,
                f'Serving signature name: "{name}" not found in signature def',
            )
        return self._signatures[name]

    def most_values(self, max_rows: int) -> int | None:
        """See `tensors.most_values`."""
        return tensors.most_values([s.inputs for s in self._signatures.values()], max_rows)


class ServedModel:
    """What an exported `<output>/<name>` folder offers; safe to call from many threads.

    Args:
        folder: the versions lie in it. One that appears later is served from the next request on;
            one that cannot be loaded is passed over, and its status says why.
        limits: bounds.
        trust: see `Version`.
    """

    def __init__(self, folder: Path, limits: Limits, trust: bool = False):
        self.folder, self.name, self.limits = folder, folder.resolve().name, limits
        self._versions = Versions(folder, functools.partial(Version, trust=trust))
        self._turns = threading.BoundedSemaphore(limits.max_concurrency)

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Holds one of the places for work that takes time and memory.

        Raises:
            Refusal: none became free in time.
        """
        if not self._turns.acquire(timeout=self.limits.queue_seconds):
            raise Refusal(
                grpc.StatusCode.UNAVAILABLE,
                f"the server is busy with {self.limits.max_concurrency} other requests: try again",
            )
        try:
            yield
        finally:
            self._turns.release()

    def version(self, name: str, number: int | None = None, label: str = "") -> Version:
        """The version of this number, or the latest that can be loaded.

        Raises:
            Refusal: there is none, or the model has another name.
        """
        if not name:
            raise invalid("ModelSpec has no name")
        if label:
            raise invalid(f"Unrecognized servable version label: {label}")
        loaded = self._versions.newest(number) if name == self.name else None
        if loaded is None:
            which = f"Latest({name})" if number is None else f"Specific({name}, {number})"
            raise Refusal(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {which}")
        return loaded

    def failures(self) -> dict[int, str]:
        """Why versions could not be loaded."""
        return self._versions.failures()

    def status(self, name: str, number: int | None = None, label: str = "") -> Any:
        """GetModelStatusResponse of one version, or of all, the newest first."""
        if label:
            raise invalid(f"Unrecognized servable version label: {label}")
        states = self._versions.states(number) if name == self.name else {}
        if not states:
            which = "any versions" if number is None else f"version {number}"
            raise Refusal(grpc.StatusCode.NOT_FOUND, f"Could not find {which} of model {name}")
        response = get_model_status_pb2.GetModelStatusResponse()
        for version, (state, error) in states.items():
            entry = response.model_version_status.add(version=version, state=state)
            entry.status.SetInParent()
            if error:
                entry.status.error_code = error_codes_pb2.UNKNOWN
                entry.status.error_message = error
        return response

    def metadata(self, name: str, number: int | None = None, label: str = "") -> Any:
        """GetModelMetadataResponse with the `signature_def`s of one version."""
        version = self.version(name, number, label)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.model_spec.name = name
        response.model_spec.version.value = version.number
        signatures = get_model_metadata_pb2.SignatureDefMap()
        for key, proto in version.signature_protos.items():
            signatures.signature_def[key].CopyFrom(proto)
        response.metadata["signature_def"].Pack(signatures)
        return response
