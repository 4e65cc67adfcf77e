"""What `zoo-serve` adds to the model: many clients at once, each with one row after the other."""

from __future__ import annotations

import contextlib
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tensorflow as tf

from benchmarks.timing import Comparison, interleaved, seconds
from zoo.export.saved_model import export_saved_model
from zoo.pretrained import open_pretrained

ROOT = Path(__file__).parents[1]
CLIENTS, REQUESTS, CALLS, REPEATS = 32, 40, 1000, 7  # requests of each client
PATIENCE = 0.2  # s, within which 99 of 100 answers should come


def run() -> list[Comparison]:
    """A request against a call of the function, and the slowest of a hundred."""
    latencies: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        exported = export_saved_model(open_pretrained("color_mnist_mini/vae"), folder, "vae")
        loaded = tf.saved_model.load(str(exported))
        decode = loaded.signatures["decode"]
        z = tf.zeros(decode.structured_input_signature[1]["z"].shape[1:])[tf.newaxis]
        with _served(exported.parent) as port:
            request = _request(z.numpy())

            def of_server() -> float:
                start = time.perf_counter()
                with ThreadPoolExecutor(CLIENTS) as pool:
                    for of_client in pool.map(_client, [port] * CLIENTS, [request] * CLIENTS):
                        latencies.extend(of_client)
                return (time.perf_counter() - start) / (CLIENTS * REQUESTS)

            pairs = interleaved(of_server, lambda: seconds(lambda: decode(z=z), CALLS), REPEATS)
    slowest = [
        (statistics.quantiles(latencies[i:][: CLIENTS * REQUESTS], n=100)[-1], PATIENCE)
        for i in range(CLIENTS * REQUESTS, len(latencies), CLIENTS * REQUESTS)
    ]
    what = f"zoo-serve, {CLIENTS} clients, a row of decode each"
    return [
        Comparison(f"{what}: per request", "the bare function in a loop", pairs, "-"),
        Comparison(f"{what}: 99 of 100 within", "the target", tuple(slowest), "at most 1"),
    ]


@contextlib.contextmanager
def _served(folder: Path) -> Iterator[int]:
    """The port of a server of this model."""
    command = [sys.executable, "-m", "zoo.flags.serve", f"--model={folder}"]
    ports = ["--rest_port=0", "--grpc_port=0"]
    server = subprocess.Popen([*command, *ports], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        server.stdout.readline()  # the warning
        yield int(server.stdout.readline().split("REST http://127.0.0.1:")[1].split("/")[0])
    finally:
        server.terminate()
        server.wait()


def _request(z: np.ndarray) -> bytes:
    body = json.dumps({"signature_name": "decode", "instances": z.tolist()}).encode()
    head = f"POST /v1/models/vae:predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


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
