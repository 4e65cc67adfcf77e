"""The HTTP server under the REST API: Python's own, with bounds on every connection."""

from __future__ import annotations

import contextlib
import io
import socket
import sys
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from export.serving import rest
from export.serving.model import ServedModel

_LINGER_SECONDS = 2.0  # chosen


class RestServer(ThreadingHTTPServer):
    """A thread per connection, up to `limits.connections`; further ones wait to be accepted.

    Args:
        address: to listen on.
        port: 0 takes a free one; see `server_port`.
        model: what it serves.

    Raises:
        OSError: the port is taken.
    """

    daemon_threads = False  # so that closing waits for the answers under way
    request_queue_size = 64  # connections that the kernel holds ready

    def __init__(self, address: str, port: int, model: ServedModel):
        self.model, self.limits = model, model.limits
        self.stopping = False
        self._places = threading.BoundedSemaphore(self.limits.connections)
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        super().__init__((address, port), _Handler)

    def server_bind(self) -> None:
        """Binds, without the look-up of the host's name that the base class makes."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = self.server_address[:2]

    def stop(self) -> None:
        """Accepts nothing more, answers what has arrived, and returns when that is done."""
        self.stopping = True
        self._end_reading()  # frees places, one of which the accepting thread may be waiting for
        self.shutdown()
        self._end_reading()
        self.server_close()

    def _end_reading(self) -> None:
        with self._open_lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RD)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Gives a connection its thread, or closes it where no place becomes free."""
        if not self._places.acquire(timeout=self.limits.queue_seconds):
            self.close_request(request)
            return
        with self._open_lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serves a connection until it is closed."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._open_lock:
                self._open.discard(request)
            self._places.release()

    def shutdown_request(self, request: Any) -> None:
        """Ends a connection; reads on for a while, or what is unread would cost it the answer."""
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

    def __init__(self, connection: socket.socket):
        self._connection = connection
        self.deadline = 0.0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connection.settimeout(max(self.deadline - time.monotonic(), 1e-3))
        return self._connection.recv_into(buffer)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = default_request_version = "HTTP/1.1"
    server_version, sys_version = "zoo-serve", ""
    server: RestServer

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self._timed = _Timed(self.connection)
        self.rfile = io.BufferedReader(self._timed)

    def handle_one_request(self) -> None:
        self._timed.deadline = time.monotonic() + self.server.limits.read_seconds
        super().handle_one_request()

    def _answer(self) -> None:
        body = self._body()
        if body is None:
            return
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
        length, most = int(digits), self.server.limits.max_request_bytes
        if length > most:
            self.send_error(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"the request has {length} bytes: expected at most {most}",
            )
            return None
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

    def _send(self, status: HTTPStatus, body: bytes) -> None:
        if self.server.stopping:
            self.close_connection = True
        self.connection.settimeout(self.server.limits.read_seconds)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: every error is in its answer."""
