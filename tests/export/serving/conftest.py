import threading

import pytest

from tests.export.serving.clients import Grpc
from tests.models.variants import TINY, tiny_model
from zoo.config import RunConfig
from zoo.export.saved_model import export_saved_model
from zoo.export.serving.limits import Limits
from zoo.export.serving.model import Signature
from zoo.export.serving.server import Server
from zoo.run import Run

MAX_ROWS = 16


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Two versions of one VAE, each with weights of its own; the first can only decode."""
    root = tmp_path_factory.mktemp("serving")
    for number in (1, 2):
        config = RunConfig.create(**TINY, model="vae")
        run = Run.create_or_resume(root / f"run_{number}", config, "none", (28, 28, 3))
        model = tiny_model({"model": "vae"}, seed=number)
        model.step.assign(1)
        run.checkpoints.save(model)
        signatures = ("decode",) if number == 1 else None
        export_saved_model(Run.open(run.path), root / "served", "vae", number, signatures)
    return root / "served" / "vae"


@pytest.fixture(scope="module")
def server(folder):
    limits = Limits(
        max_batch_size=MAX_ROWS,
        max_request_bytes=1 << 20,
        queue_seconds=2,
        read_seconds=3,
        connections=16,
    )
    with Server(folder, limits=limits) as running:
        yield running


@pytest.fixture(scope="module")
def stubs(server):
    client = Grpc(server)
    yield client
    client.channel.close()


@pytest.fixture
def held(monkeypatch):
    """Predictions wait until the event is set; they say when they have begun."""
    release, begun = threading.Event(), threading.Semaphore(0)
    whole = Signature.__call__

    def slow(self, *arguments):
        begun.release()
        assert release.wait(30)
        return whole(self, *arguments)

    monkeypatch.setattr(Signature, "__call__", slow)
    yield release, begun
    release.set()
