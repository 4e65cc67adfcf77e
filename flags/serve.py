"""zoo-serve: a development server that speaks TF Serving's REST and gRPC predict protocols.

zoo-serve --model=served/vae
zoo-serve --pretrained=color_mnist_mini/vae

serves the newest version of served/vae, and the others under /versions/N, on loopback until it gets
SIGINT or SIGTERM; then it answers what has arrived and exits with 0. At / is a page to look at the
model with. In production, let TF Serving serve the same folder.
"""

from __future__ import annotations

import contextlib
import gc
import ipaddress
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from absl import flags

from zoo.errors import UsageError
from zoo.export.serving.cors import Origins
from zoo.flags import parsers, paths, program
from zoo.pretrained import open_pretrained
from zoo.run import Run

NOTICE = "zoo-serve is for development: in production, let TF Serving serve the same folder."


def define(values: flags.FlagValues) -> None:
    """Flags of zoo-serve."""
    paths.define_path("model", None, "Exported folder, <output>/<name>.", flag_values=values)
    program.define_shared(values, "pretrained", "trust")
    parsers.define_whole("rest_port", 8501, "REST; 0 takes a free one.", flag_values=values)
    parsers.define_whole("grpc_port", 8500, "gRPC; 0 takes a free one.", flag_values=values)
    flags.DEFINE_string("address", "127.0.0.1", "IP address to listen on.", flag_values=values)
    flags.DEFINE_bool(
        "allow_remote", False, "Accept an --address that others can reach.", flag_values=values
    )
    flags.DEFINE_list(
        "allow_origin",
        [],
        "Pages of other servers that may call the REST API, by origin, as https://example.org; * "
        "for all. Its own page always may.",
        flag_values=values,
    )
    parsers.define_whole("max_batch_size", 256, "Most rows of a request.", flag_values=values)
    parsers.define_whole(
        "max_request_megabytes", 32, "Largest gRPC request, in MiB.", flag_values=values
    )
    parsers.define_whole(
        "max_json_megabytes",
        4,
        "Largest REST request, in MiB; parsing one holds all others up, some 0.1 s for 4 MiB.",
        flag_values=values,
    )
    parsers.define_whole(
        "max_concurrency", 4, "Most predictions at once; more wait 10 s.", flag_values=values
    )


def main(values: flags.FlagValues) -> None:
    """Serves."""
    source = program.exactly_one(values, "model", "pretrained")
    Origins(values.allow_origin)  # refused before anything is loaded
    run = open_pretrained(values.pretrained) if source == "pretrained" else None
    if run is None:
        _check_model(Path(values["model"].value))
    rest_port, grpc_port = (_port(values, name) for name in ("rest_port", "grpc_port"))
    address = _address(values["address"].value, values["allow_remote"].value)
    for name in ("batch_size", "request_megabytes", "json_megabytes", "concurrency"):
        program.check_positive(values, f"max_{name}")
    try:
        import grpc  # noqa: F401
        import orjson  # noqa: F401
    except ModuleNotFoundError as error:
        raise UsageError(
            f"zoo-serve needs {error.name}: install the extra 'serving', as in "
            "pip install 'distribution-matching-zoo[serving]'"
        ) from None
    program.start_tensorflow()
    from zoo.export.serving.limits import Limits
    from zoo.export.serving.server import Server, Stop

    gc.freeze()  # what is imported stays: parsing need not pause for the collector to look at it
    limits = Limits(
        values.max_batch_size,
        values.max_request_megabytes << 20,
        values.max_json_megabytes << 20,
        values.max_concurrency,
    )
    with (
        _exported(run) if run else contextlib.nullcontext(Path(values["model"].value)) as folder,
        contextlib.closing(Stop()) as stop,
        Server(
            folder, address, rest_port, grpc_port, limits, values.trust, values.allow_origin
        ) as server,
    ):
        host = f"[{address}]" if ":" in address else address
        print(
            f"{NOTICE}\n{server.model.name}, version {server.version}: "
            f"page http://{host}:{server.rest_port}/, "
            f"REST http://{host}:{server.rest_port}/v1/models/{server.model.name}, "
            f"gRPC {host}:{server.grpc_port}",
            flush=True,
        )
        for number, why in server.model.failures().items():
            print(f"version {number} cannot be loaded: {why}", file=sys.stderr)
        stop.wait()


def _check_model(folder: Path) -> None:
    if not any(f.parent.name.isdecimal() for f in folder.glob("*/saved_model.pb")):
        raise UsageError(
            f"model={str(folder)!r} has no version: expected a folder that zoo-export wrote, "
            "<output>/<name>, with <version>/saved_model.pb in it"
        )


@contextlib.contextmanager
def _exported(run: Run) -> Iterator[Path]:
    """An export of a pretrained model, for as long as it is served."""
    from zoo.export.saved_model import export_saved_model

    with tempfile.TemporaryDirectory() as scratch:
        yield export_saved_model(run, scratch, run.path.name).parent


def _port(values: flags.FlagValues, name: str) -> int:
    port = values[name].value
    if not 0 <= port < 65536:
        raise UsageError(f"{name}={port} is not accepted: expected 0 to 65535")
    return port


def _address(text: str, allow_remote: bool) -> str:
    try:
        address = ipaddress.ip_address("127.0.0.1" if text == "localhost" else text)
    except ValueError:
        raise UsageError(
            f"address={text!r} is not accepted: expected an IP address or localhost"
        ) from None
    if not (address.is_loopback or allow_remote):
        raise UsageError(
            f"address={text} can be reached by other machines, and zoo-serve knows no "
            "passwords: expected 127.0.0.1, or --allow_remote beside it"
        )
    return str(address)


def run() -> None:
    """Entry point."""
    program.run_program(main, define, __doc__)


if __name__ == "__main__":
    run()
