"""Connections: what is no request, what comes slowly, what keeps a place, and what is sent back."""

import contextlib
import json
import socket
import struct
import threading
import time

import numpy as np
import pytest

from tests.export.serving.clients import Grpc, http, raw, rest_predict
from zoo.export.serving.limits import Limits
from zoo.export.serving.server import Server

ZERO = {"inputs": [[0, 0, 0]]}
HEAD = b"POST /v1/models/vae:predict HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 505),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
        (HEAD + b"Content-Length: -1\r\n\r\n", 400),
        (HEAD + b"Content-Length: 1_0\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        (HEAD + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nhalf", 415),
        (HEAD + b"Content-Length: 9\r\n\r\nhalf", 408),
    ],
)
def test_what_is_no_http_request_is_answered_too(server, request_, status):
    seen = raw(server, request_)
    assert seen[0] == status and seen[1]["error"]


def test_a_connection_is_kept_for_further_requests(server):
    body = json.dumps(ZERO).encode()
    request = HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    last = request.replace(b"Host", b"Connection: close\r\nHost")
    with raw(server, request + request + last, wait=False) as connection:
        answers = b""
        while part := connection.recv(1 << 16):
            answers += part
    assert answers.count(b"HTTP/1.1 200 OK") == 3


def test_half_sent_requests_hold_nobody_up(server, stubs):
    halves = [raw(server, HEAD[: 20 + 4 * i], wait=False) for i in range(8)]
    halves += [raw(server, HEAD + b"Content-Length: 99\r\n\r\n{", wait=False) for _ in range(4)]
    never = threading.Event()

    def silent():
        never.wait(60)
        yield from ()

    channel = stubs.channel
    path = "/tensorflow.serving.PredictionService/Predict"
    calls = [channel.stream_unary(path).future(silent(), timeout=30) for _ in range(8)]
    start = time.monotonic()
    assert rest_predict(server, ZERO)[0] == 200
    assert stubs.predict({"z": np.zeros((1, 3), np.float32)})
    assert time.monotonic() - start < 2.5
    # And one that trickles is cut off in the end, however steadily it does.
    with halves.pop() as trickle, pytest.raises(OSError):
        while time.monotonic() - start < 15:
            trickle.send(b" ")
            time.sleep(0.1)
    assert time.monotonic() - start < 10
    never.set()
    for call in calls:
        call.cancel()
    for half in halves:
        half.close()


BODY = json.dumps(ZERO).encode()
WHOLE = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
PATIENT = {"head_seconds": 60, "read_seconds": 60, "queue_seconds": 60}
SLOW = {"idle": b"", "half a head": HEAD[:30], "half a body": WHOLE[:-3]}


def connect(server, client="127.0.0.1"):
    return socket.create_connection(
        ("127.0.0.1", server.rest_port), timeout=30, source_address=(client, 0)
    )


def status_of(connection):
    return int(connection.makefile("rb").readline().split()[1])


@pytest.mark.parametrize("kind", SLOW)
def test_slow_connections_give_way_to_newcomers(folder, kind):
    """Without that, a good request would wait a minute for a place."""
    with Server(folder, limits=Limits(**PATIENT, connections=8)) as server:
        with contextlib.ExitStack() as stack:
            slow = [stack.enter_context(connect(server)) for _ in range(30)]
            for each in slow:
                with contextlib.suppress(OSError):  # has given way already
                    each.sendall(SLOW[kind])
            for _ in range(5):
                assert rest_predict(server, ZERO)[0] == 200


def test_who_holds_most_places_loses_one(folder):
    with Server(folder, limits=Limits(**PATIENT, connections=8)) as server:
        with contextlib.ExitStack() as stack:
            patient = stack.enter_context(connect(server, "127.0.0.2"))
            patient.sendall(WHOLE[:-3])
            for _ in range(20):
                stack.enter_context(connect(server)).sendall(HEAD)
            assert rest_predict(server, ZERO)[0] == 200
            patient.sendall(WHOLE[-3:])
            assert status_of(patient) == 200


def test_who_is_served_keeps_the_place(folder, held):
    release, begun = held
    with Server(folder, limits=Limits(**PATIENT, connections=2)) as server:
        with contextlib.ExitStack() as stack:
            served = stack.enter_context(connect(server))
            served.sendall(WHOLE)
            assert begun.acquire(timeout=20)
            for _ in range(10):
                stack.enter_context(connect(server))
            assert http(server, "/v1/models/vae")[0] == 200
            release.set()
            assert status_of(served) == 200


def test_a_head_has_less_time_than_a_body(folder):
    with Server(folder, limits=Limits(head_seconds=0.3, read_seconds=60)) as server:
        with connect(server) as late, connect(server) as idle, connect(server) as body:
            late.sendall(HEAD)
            body.sendall(WHOLE[:-1])
            assert late.recv(1000) == b""
            body.sendall(WHOLE[-1:])
            assert status_of(body) == 200
            idle.sendall(WHOLE)
            assert status_of(idle) == 200


def test_an_answer_is_sent_at_once(server):
    """In two parts, the second would wait for the client's delayed acknowledgement."""
    request = b"GET /v1/models/vae HTTP/1.1\r\nHost: x\r\n\r\n"
    with connect(server) as connection:
        for count in (1, 2, 3):
            connection.sendall(request)
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 OK")
            information = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 156)
            (segments,) = struct.unpack_from("I", information, 152)  # tcpi_data_segs_in
            assert segments == count


def test_a_json_body_is_bounded_more_tightly_than_a_message(folder):
    limits = Limits(max_json_bytes=1 << 16)
    with Server(folder, limits=limits) as server:
        status, body = rest_predict(server, b" " * ((1 << 16) + 1))
        assert status == 413 and "expected at most 65536" in body["error"]
        client = Grpc(server)
        images = np.zeros((100, 28, 28, 3), np.float32)
        assert len(client.predict({"images": images}, "encode")["z"]) == 100
        client.channel.close()


@pytest.mark.parametrize("piece", [b"[]", b"{}", b"0", b"[[]]", b'{"z":[]}', b'""', b"null"])
def test_a_body_of_many_small_values_is_refused_before_it_is_parsed(server, piece):
    body = b'{"instances": [' + b",".join([piece] * 100_000) + b"]}"
    status, answer = rest_predict(server, body)
    assert status == 400 and "values: expected at most" in answer["error"]
