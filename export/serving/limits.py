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
        max_concurrency: predictions that run at once, both protocols together.
        queue_seconds: how long a request waits for its turn.
        read_seconds: how long a REST request may take to arrive.
        connections: open REST connections, and gRPC calls in progress.
    """

    max_batch_size: int = 256
    max_request_bytes: int = 32 << 20
    max_concurrency: int = 4
    queue_seconds: float = 10.0
    read_seconds: float = 20.0
    connections: int = 32


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
