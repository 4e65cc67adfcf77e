"""What a request may cost, and how one that may not be answered is refused."""

from __future__ import annotations

import dataclasses

import grpc

_LONGEST_MESSAGE = 1000  # characters; gRPC carries it in a header of limited size


@dataclasses.dataclass(frozen=True)
class Limits:
    """Bounds of the server; all chosen.

    Attributes:
        max_batch_size: rows of one request.
        max_request_bytes: of one request, in either protocol.
        max_json_bytes: of one REST request, where that is less: Python holds up all other threads
            while it parses, some 0.1 s for 4 MiB.
        max_concurrency: predictions that run at once, both protocols together.
        queue_seconds: how long a request waits for its turn.
        head_seconds: how long the head of a REST request may take to arrive.
        read_seconds: how long its body may, how long an answer may take to be fetched, and how
            long a connection is kept without a request.
        connections: open REST connections, and gRPC calls in progress.
    """

    max_batch_size: int = 256
    max_request_bytes: int = 32 << 20
    max_json_bytes: int = 4 << 20
    max_concurrency: int = 4
    queue_seconds: float = 10.0
    head_seconds: float = 5.0
    read_seconds: float = 20.0
    connections: int = 128

    @property
    def json_bytes(self) -> int:
        """The bound of a REST request."""
        return min(self.max_json_bytes, self.max_request_bytes)


class Refusal(Exception):
    """A request that is answered with an error.

    Args:
        code: what gRPC sends; REST sends what TF Serving maps it to.
        message: for the client.
    """

    def __init__(self, code: grpc.StatusCode, message: str):
        if len(message) > _LONGEST_MESSAGE:
            message = message[:_LONGEST_MESSAGE] + " ..."
        super().__init__(message)
        self.code, self.message = code, message


def invalid(message: str) -> Refusal:
    """The refusal of a malformed request."""
    return Refusal(grpc.StatusCode.INVALID_ARGUMENT, message)
