"""What `zoo-serve` adds to the model: many clients at once, each with one row after the other."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import tensorflow as tf

from benchmarks.timing import Comparison, interleaved, seconds
from zoo.export.saved_model import export_saved_model
from zoo.pretrained import open_pretrained

ROOT = Path(__file__).parents[1]
CLIENTS, REQUESTS, CALLS, REPEATS = 32, 40, 1000, 7  # requests of each client
PATIENCE = 0.2  # s, within which 99 of 100 answers should come


def run() -> list[Comparison]:
    """A request against a call of the function and against another server's, and the slowest of a
    hundred."""
    rounds: list[list[float]] = []
    with tempfile.TemporaryDirectory() as folder:
        exported = export_saved_model(open_pretrained("color_mnist_mini/vae"), folder, "vae")
        loaded = tf.saved_model.load(str(exported))
        decode = loaded.signatures["decode"]
        z = tf.zeros(decode.structured_input_signature[1]["z"].shape[1:])[tf.newaxis]
        body = json.dumps({"signature_name": "decode", "instances": z.numpy().tolist()}).encode()
        with _zoo_serve(exported.parent) as port, _lit_serve(exported) as other:
            ours = lambda: _of_clients(port, "/v1/models/vae:predict", body, rounds)  # noqa: E731
            theirs = lambda: _of_clients(other, "/predict", body, [])  # noqa: E731
            of_function = interleaved(ours, lambda: seconds(lambda: decode(z=z), CALLS), REPEATS)
            of_server = interleaved(ours, theirs, REPEATS)
    # The first is cold; those after it stand beside the function.
    waited = rounds[1 : 1 + REPEATS]
    slowest = tuple((statistics.quantiles(seen, n=100)[-1], PATIENCE) for seen in waited)
    what = f"zoo-serve, {CLIENTS} clients, a row of decode each"
    return [
        Comparison(f"{what}: per request", "the bare function in a loop", of_function, "-"),
        Comparison(f"{what}: per request", "LitServe, the same SavedModel", of_server, "-"),
        Comparison(f"{what}: 99 of 100 within", "the target", slowest, "at most 1"),
    ]


def _of_clients(port: int, path: str, body: bytes, rounds: list[list[float]]) -> float:
    """Seconds of a request where all clients send theirs at once; adds a round of what each
    waited."""
    request = _request(path, body)
    start = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        of_clients = list(pool.map(_client, [port] * CLIENTS, [request] * CLIENTS))
    rounds.append([waited for of_client in of_clients for waited in of_client])
    return (time.perf_counter() - start) / (CLIENTS * REQUESTS)


@contextlib.contextmanager
def _zoo_serve(folder: Path) -> Iterator[int]:
    """The port of a server of this model."""
    flags = [f"--model={folder}", "--rest_port=0", "--grpc_port=0"]
    with _started("zoo.flags.serve", *flags) as server:
        server.stdout.readline()  # the warning
        yield int(server.stdout.readline().split("REST http://127.0.0.1:")[1].split("/")[0])


@contextlib.contextmanager
def _lit_serve(exported: Path) -> Iterator[int]:
    """The port of another one, which has loaded the model."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with _started("benchmarks.peers.lit_server", str(exported), str(port)):
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port)).close()
                break
            time.sleep(0.1)
        yield port


@contextlib.contextmanager
def _started(module: str, *arguments: str) -> Iterator[subprocess.Popen]:
    """The program in a process of its own, with all that it starts."""
    command = [sys.executable, "-m", module, *arguments]
    server = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield server
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()


def _request(path: str, body: bytes) -> bytes:
    fields = ["Host: localhost", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([f"POST {path} HTTP/1.1", *fields, "", ""]).encode() + body


def _client(port: int, request: bytes) -> Sequence[float]:
    """Seconds that each of its requests took, over one connection."""
    times = []
    with socket.create_connection(("127.0.0.1", port)) as connection:
        for _ in range(REQUESTS):
            start = time.perf_counter()
            connection.sendall(request)
            answer = connection.recv(1 << 16)
            head, body = answer.split(b"\r\n\r\n", 1)
            assert head.startswith(b"HTTP/1.1 200"), head
            length = int(head.lower().split(b"content-length: ")[1].split()[0])
            received = len(body)
            while received < length:
                received += len(connection.recv(1 << 16))
            times.append(time.perf_counter() - start)
    return times
