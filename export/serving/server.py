"""Both protocols over one model, from the first request to the last answer."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType, TracebackType

from zoo.errors import UsageError
from zoo.export.serving.cors import Origins
from zoo.export.serving.grpc import grpc_server
from zoo.export.serving.http_server import RestServer
from zoo.export.serving.limits import Limits, Refusal
from zoo.export.serving.model import ServedModel
from zoo.handlers import handle

_DRAIN_SECONDS = 30.0  # chosen; for gRPC calls under way when the server is told to stop


class Server:
    """Serves while its `with` block lasts; leaving it answers what has arrived.

    Args:
        folder: an exported `<output>/<name>`.
        address: to listen on.
        rest_port: 0 takes a free one.
        grpc_port: 0 takes a free one.
        limits: bounds on what a request may cost.
        trust: load versions whatever their operations may do.
        allow_origins: of the pages that may call the REST API, see `Origins`; its own always may.

    Raises:
        UsageError: no version can be loaded, a port is taken, or an origin is none.
    """

    def __init__(
        self,
        folder: Path,
        address: str = "127.0.0.1",
        rest_port: int = 0,
        grpc_port: int = 0,
        limits: Limits | None = None,
        trust: bool = False,
        allow_origins: Sequence[str] = (),
    ):
        origins = Origins(allow_origins)
        self.model = ServedModel(folder, limits or Limits(), trust)
        try:
            self.version = self.model.version(self.model.name).number
        except Refusal:
            failures = "; ".join(f"{n}: {why}" for n, why in self.model.failures().items())
            raise UsageError(f"no version of {folder} can be loaded: {failures}") from None
        with _reported(address, rest_port):
            self._rest = RestServer(address, rest_port, self.model, origins)
        self.rest_port = self._rest.server_port
        with _reported(address, grpc_port), contextlib.ExitStack() as undo:
            undo.callback(self._rest.server_close)
            self._grpc, self.grpc_port = grpc_server(address, grpc_port, self.model)
            undo.pop_all()

    def __enter__(self) -> Server:
        self._thread = threading.Thread(target=self._rest.serve_forever)
        self._thread.start()
        self._grpc.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        calls_ended = self._grpc.stop(_DRAIN_SECONDS)
        self._rest.stop()
        self._thread.join()
        calls_ended.wait()


@contextlib.contextmanager
def _reported(address: str, port: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"cannot listen on {address}, port {port}: {error.strerror or error}; 0 takes any port"
        ) from None


class Stop:
    """SIGINT and SIGTERM ask to stop; the second of either ends the process at once. One that the
    process was started to ignore stays ignored."""

    def __init__(self) -> None:
        # The kernel may hand a signal to any thread, and one that waits for a lock would not see it
        # then: what Python notes in a socket ends a wait wherever it came.
        self._noted, self._notes = socket.socketpair()
        self._notes.setblocking(False)
        self._wakeup = signal.set_wakeup_fd(self._notes.fileno())
        self._before = handle(_let_go, (signal.SIGINT, signal.SIGTERM))

    def wait(self) -> None:
        """Returns when asked."""
        self._noted.recv(1)

    def close(self) -> None:
        """Gives the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        self._noted.close()
        self._notes.close()


def _let_go(number: int, _: FrameType | None) -> None:
    # Its own signal alone: another thread may have the other in hand, and would find no handler.
    signal.signal(number, signal.SIG_DFL)
