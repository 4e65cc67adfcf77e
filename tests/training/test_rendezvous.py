"""Workers that look for each other, with real sockets."""

import contextlib
import socket
import threading

import pytest

from zoo.errors import UsageError
from zoo.training import rendezvous
from zoo.training.rendezvous import Cluster, Place, meet, missing

PATIENCE = 60  # seconds


def listen(port=0, host="127.0.0.1"):
    return socket.create_server((host, port))


def places(count):
    """Workers whose ports are free now."""
    with contextlib.ExitStack() as stack:
        ports = [stack.enter_context(listen()).getsockname()[1] for _ in range(count)]
    return [Place(f"worker {i}", f"127.0.0.1:{port}") for i, port in enumerate(ports)]


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_port_in_use_is_named_at_once(host):
    with listen(host=host) as taken:
        port = taken.getsockname()[1]
        cluster = Cluster(Place("worker 1", f"10.0.0.1:{port}"), tuple(places(1)))
        with pytest.raises(UsageError, match=rf"port {port} of worker 1 .* another process"):
            meet(cluster)


def test_all_meet_and_their_ports_are_free_again():
    """What follows at once, as TensorFlow's server does, is to others the same worker."""
    workers, servers = places(3), []

    def go(i):
        meet(Cluster(workers[i], tuple(w for w in workers if w != workers[i])))
        servers.append(listen(workers[i].host_and_port[1]))

    threads = [threading.Thread(target=go, args=(i,), daemon=True) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(servers) == 3
    for server in servers:
        server.close()


def test_who_was_there_and_went_is_waited_for(monkeypatch):
    monkeypatch.setattr(rendezvous, "PAUSE", 0.001)
    own, first, second = places(3)
    thread = threading.Thread(target=meet, args=(Cluster(own, (second, first)),), daemon=True)
    with listen(first.host_and_port[1]) as there:
        thread.start()
        there.accept()[0].close()
    with listen(second.host_and_port[1]) as later:
        for _ in range(3):  # each round looks here, and then in vain for the first
            later.accept()[0].close()
        assert thread.is_alive()
        with listen(first.host_and_port[1]):
            thread.join(PATIENCE)
            assert not thread.is_alive()


def test_who_does_not_answer_is_named(monkeypatch):
    monkeypatch.setattr(rendezvous, "FAREWELL", 0.5)
    one, other = places(2)
    with listen(one.host_and_port[1]):
        assert missing([one, other]) == [other] and missing([one]) == [] == missing([])
    assert missing([one, other]) == [one, other]
    assert str(one) == f"worker 0 ({one.address})"
    assert Place("chief 0", "[::1]:80").host_and_port == ("::1", 80)
