"""The HTTP server under the REST API and the page: Python's, with bounds on every connection."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import math
import socket
import sys
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from zoo.export.serving import rest
from zoo.export.serving.cors import Origins
from zoo.export.serving.live_page import SECURITY_HEADERS, live_page
from zoo.export.serving.model import ServedModel

_LINGER_SECONDS = 2.0  # chosen
_FIRST_SECONDS = 0.2  # for which a connection keeps its place, so that it can be read; chosen


@dataclasses.dataclass(eq=False)
class _Connection:
    """What the server knows of an open connection.

    Attributes:
        socket: the server's end.
        client: its address.
        waits_since: when it began to wait for its client, in seconds; infinite while it is served.
        idle: whether it waits between two requests.
        ended: whether it has been closed in favour of a newcomer.
    """

    socket: socket.socket
    client: str
    waits_since: float = dataclasses.field(default_factory=time.monotonic)
    idle: bool = True
    ended: bool = False


class RestServer(ThreadingHTTPServer):
    """A thread for each of up to `limits.connections`; a further one takes another's place.

    Args:
        address: to listen on.
        port: 0 takes a free one; see `server_port`.
        model: what it serves.
        origins: whose pages may call it, beside its own.

    Raises:
        OSError: the port is taken.
    """

    daemon_threads = False  # so that closing waits for the answers under way
    request_queue_size = 128  # connections that the kernel holds ready

    def __init__(self, address: str, port: int, model: ServedModel, origins: Origins):
        self.model, self.limits, self.origins = model, model.limits, origins
        self.page = live_page(model.name, model.limits.max_batch_size)
        self.stopping = False
        self._open: dict[socket.socket, _Connection] = {}
        self._changed = threading.Condition()  # guards the connections
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        super().__init__((address, port), _Handler)

    def server_bind(self) -> None:
        """Binds, without the look-up of the host's name that the base class makes."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        bound = self.socket.getsockname()
        self.server_address = bound
        self.server_name, self.server_port = bound[:2]

    def stop(self) -> None:
        """Accepts nothing more, answers what has arrived, and returns when that is done."""
        self.stopping = True
        self._end_reading()  # frees places, one of which the accepting thread may be waiting for
        self.shutdown()
        self._end_reading()
        self.server_close()

    def _end_reading(self) -> None:
        with self._changed:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RD)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Gives a connection a place and a thread."""
        with self._changed:
            while len(self._open) >= self.limits.connections:
                self._make_room()
                self._changed.wait(_FIRST_SECONDS)
            self._open[request] = _Connection(request, client_address[0])
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no thread to be had
            self._forget(request)
            self.close_request(request)

    def _make_room(self) -> None:
        """Ends one that waits: of the client with most of them, and an idle one if there is one."""
        waiting = [c for c in self._open.values() if c.waits_since < math.inf]
        if not waiting or any(c.ended for c in waiting):
            return  # or its thread is about to see it
        count = Counter(c.client for c in waiting)
        last = max(waiting, key=lambda c: (count[c.client], c.idle, -c.waits_since))
        if time.monotonic() - last.waits_since > _FIRST_SECONDS:
            last.ended = True
            with contextlib.suppress(OSError):
                last.socket.shutdown(socket.SHUT_RDWR)

    def waits(self, request: socket.socket, idle: bool = False) -> None:
        """Notes that a connection waits for its client from now on."""
        with self._changed:
            connection = self._open[request]
            connection.waits_since, connection.idle = time.monotonic(), idle
            self._changed.notify()

    def serves(self, request: socket.socket) -> None:
        """Notes that it is at work for its client.

        Raises:
            ConnectionAbortedError: it had to give way before.
        """
        with self._changed:
            if self._open[request].ended:
                raise ConnectionAbortedError
            self._open[request].waits_since = math.inf

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serves a connection until it is closed."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._forget(request)

    def _forget(self, request: socket.socket) -> None:
        with self._changed:
            del self._open[request]
            self._changed.notify()

    def shutdown_request(self, request: Any) -> None:
        """Ends a connection; reads on for a while, or what is unread would cost it the answer."""
        self.waits(request, idle=True)
        deadline = time.monotonic() + _LINGER_SECONDS
        with contextlib.suppress(OSError):
            request.shutdown(socket.SHUT_WR)
            while (left := deadline - time.monotonic()) > 0:
                request.settimeout(left)
                if not request.recv(1 << 16):
                    break
        self.close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing of a client that went away."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Timed(io.RawIOBase):
    """Reads a socket up to a moment, however few bytes come at a time."""

    def __init__(self, connection: socket.socket, server: RestServer):
        self._connection, self._server = connection, server
        self._deadline, self._idle = 0.0, False

    def expect(self, seconds: float, idle: bool = False) -> None:
        """What is read next has to come within `seconds`; a head, from its first byte on."""
        self._server.waits(self._connection, idle)
        self._deadline, self._idle = time.monotonic() + seconds, idle

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        count = self._connection.recv_into(buffer)
        if self._idle:
            self.expect(self._server.limits.head_seconds)
        return count


class _Handler(BaseHTTPRequestHandler):
    protocol_version = default_request_version = "HTTP/1.1"
    server_version, sys_version = "zoo-serve", ""
    _headers_of_origin: Mapping[str, str] = {}
    disable_nagle_algorithm = True  # or an answer waits for the client's delayed ACK, 40 ms
    server: RestServer

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self._timed = _Timed(self.connection, self.server)
        self.rfile = io.BufferedReader(self._timed)

    def handle_one_request(self) -> None:
        self._timed.expect(self.server.limits.read_seconds, idle=True)
        self._headers_of_origin = {}
        super().handle_one_request()

    def _answer(self) -> None:
        self._headers_of_origin = self.server.origins.headers(self.headers)
        body = self._body()
        if body is None:
            return
        self.server.serves(self.connection)
        file = self.server.page.get(urllib.parse.urlsplit(self.path).path)
        preflight = self.server.origins.preflight(self.command, self.headers)
        if file and self.command in ("GET", "HEAD"):
            self._send(HTTPStatus.OK, *file)
        elif preflight is not None:
            self._headers_of_origin = preflight
            self._send(HTTPStatus.OK, b"")
        else:
            self._send(*rest.answer(self.server.model, self.command, self.path, body))

    do_GET = do_POST = do_HEAD = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _answer  # noqa: N815

    def _body(self) -> bytes | None:
        """The body of the request; None where it cannot be read, and an error has been sent."""
        if "Transfer-Encoding" in self.headers:
            self.send_error(HTTPStatus.LENGTH_REQUIRED, "send Content-Length: chunks are not read")
            return None
        if self.headers.get("Content-Encoding", "identity") != "identity":
            self.send_error(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send the body uncompressed")
            return None
        digits = self.headers.get("Content-Length", "0")
        if not (digits.isascii() and digits.isdecimal() and len(digits) < 20):
            self.send_error(HTTPStatus.BAD_REQUEST, f"Content-Length={digits!r} is not a length")
            return None
        length, most = int(digits), self.server.limits.json_bytes
        if length > most:
            self.send_error(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"the request has {length} bytes: expected at most {most}; gRPC needs fewer",
            )
            return None
        self._timed.expect(self.server.limits.read_seconds)
        try:
            body = self.rfile.read(length)
        except TimeoutError:
            seconds = self.server.limits.read_seconds
            self.send_error(
                HTTPStatus.REQUEST_TIMEOUT, f"the request did not arrive within {seconds:g} s"
            )
            return None
        if len(body) < length:
            self.send_error(HTTPStatus.BAD_REQUEST, f"only {len(body)} of {length} bytes came")
            return None
        return body

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answers what is no proper HTTP request, as JSON too, and ends the connection."""
        self.close_connection = True
        self._send(HTTPStatus(code), rest.error_body(message or HTTPStatus(code).phrase))

    def _send(
        self, status: HTTPStatus, body: bytes, content_type: str = "application/json"
    ) -> None:
        if self.server.stopping:
            self.close_connection = True
        wfile, self.wfile = self.wfile, io.BytesIO()  # so that head and body are sent at once
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in {**SECURITY_HEADERS, **self._headers_of_origin}.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        answer, self.wfile = self.wfile.getvalue(), wfile
        self._timed.expect(self.server.limits.read_seconds)
        self.connection.settimeout(self.server.limits.read_seconds)
        self.wfile.write(answer)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: every error is in its answer."""
