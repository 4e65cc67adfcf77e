"""Where the workers of a run are, and the wait until all of them are there.

TensorFlow's own wait for the others is deaf to signals and names nobody. So its servers start only
once every worker has been seen: each listens on its own port until all the others answer on theirs.
One that has gone on answers too, from TensorFlow's server, so that all see all within moments.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import time
from collections.abc import Sequence
from typing import NamedTuple

from absl import logging

from zoo.errors import UsageError

# Seconds, all chosen.
ANSWER = 2.0  # that a connection may take
PAUSE = 0.2  # between two looks
QUIET = 5.0  # before the first word: workers that are started together need none
REPEAT = 30.0  # between two words
FAREWELL = 5.0  # that a worker which fails may take to end

_EXAMPLE = (
    '{"cluster": {"worker": ["host:port", "host:port"]}, "task": {"type": "worker", "index": 0}}'
)


class Place(NamedTuple):
    """A worker and its address, `host:port`."""

    name: str
    address: str

    def __str__(self) -> str:
        return f"{self.name} ({self.address})"

    @property
    def host_and_port(self) -> tuple[str, int]:
        """As sockets take it."""
        host, _, port = self.address.rpartition(":")
        return host.removeprefix("[").removesuffix("]"), int(port)

    def answers(self) -> bool:
        """Whether something listens there."""
        try:
            socket.create_connection(self.host_and_port, timeout=ANSWER).close()
        except OSError:  # refused, silent, or a name that is not known yet
            return False
        return True


class Cluster(NamedTuple):
    """All workers of a run, and which of them this process is."""

    own: Place
    others: tuple[Place, ...]


def has_workers(strategy: str) -> bool:
    """Whether a strategy of that name, one of `zoo.config.STRATEGIES`, is of several workers."""
    return strategy == "multi_worker" or (strategy == "auto" and bool(os.environ.get("TF_CONFIG")))


def read_cluster() -> Cluster:
    """The cluster that TF_CONFIG describes.

    Raises:
        UsageError: there is no TF_CONFIG, or it describes none.
    """
    text = os.environ.get("TF_CONFIG", "")

    def refuse(reason: str) -> None:
        raise UsageError(f"TF_CONFIG={text!r} {reason}: strategy=multi_worker expects {_EXAMPLE}")

    if not text:
        refuse("is not set")
    try:
        config = json.loads(text)
        jobs, task = config["cluster"], config["task"]
        kind, index = task["type"], task["index"]
        addresses = [address for job in jobs.values() for address in job]
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError):
        refuse("does not describe a cluster")
    if not set(jobs) <= {"chief", "worker"} or len(jobs.get("chief", [""])) != 1:
        refuse("has other jobs than workers and at most one chief")
    if not all(isinstance(a, str) and _port(a) for a in addresses):
        refuse("has an address that is not host:port")
    if len(set(addresses)) != len(addresses):
        refuse("names an address twice")
    if kind not in list(jobs) or type(index) is not int or not 0 <= index < len(jobs[kind]):
        refuse("has a task that is not in its cluster")
    own = Place(f"{kind} {index}", jobs[kind][index])
    places = [Place(f"{k} {i}", a) for k, job in jobs.items() for i, a in enumerate(job)]
    return Cluster(own, tuple(place for place in places if place != own))


def _port(address: str) -> int | None:
    host, _, port = address.rpartition(":")
    return int(port) if host and port.isdecimal() and 0 < int(port) < 2**16 else None


def meet(cluster: Cluster) -> None:
    """Returns once every worker listens, on a port that TensorFlow can then take over.

    Raises:
        UsageError: this worker's own port cannot be listened on.
    """
    listener = _listen(cluster.own)
    # A worker that was seen may be gone before the last one comes: all answer in one round.
    start = said = time.monotonic()
    with listener:
        while absent := [place for place in cluster.others if not place.answers()]:
            now = time.monotonic()
            if now - said >= (QUIET if said == start else REPEAT):
                logging.warning("waiting for %s", enumerate_places(absent))
                said = now
            _hang_up_on_callers(listener)
            time.sleep(PAUSE)


def check_own_port(strategy: str) -> None:
    """Raises `UsageError` at once where a worker of several could not listen on its own port."""
    if has_workers(strategy):
        _listen(read_cluster().own).close()


def _listen(own: Place) -> socket.socket:
    _, port = own.host_and_port
    dual = socket.has_dualstack_ipv6()
    try:
        # On every address, as TensorFlow's server.
        listener = socket.create_server(
            ("", port),
            family=socket.AF_INET6 if dual else socket.AF_INET,
            dualstack_ipv6=dual,
            backlog=socket.SOMAXCONN,
        )
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        why = "another process listens on it" if taken else error.strerror
        raise UsageError(
            f"port {port} of {own} in TF_CONFIG cannot be used: {why}: expected a free port"
        ) from None
    listener.setblocking(False)
    return listener


def _hang_up_on_callers(listener: socket.socket) -> None:
    """Makes room in the queue of those who look whether this worker is there."""
    with contextlib.suppress(OSError):  # none is left
        while True:
            listener.accept()[0].close()


def missing(places: Sequence[Place]) -> list[Place]:
    """Those that answer no more; none where all still do `FAREWELL` seconds later."""
    deadline = time.monotonic() + FAREWELL
    gone: list[Place] = []
    while places and not gone and time.monotonic() < deadline:
        time.sleep(PAUSE)
        gone = [place for place in places if not place.answers()]
    return gone


def enumerate_places(places: Sequence[Place]) -> str:
    """Names them in a line."""
    return ", ".join(map(str, places))
