"""Version folders that are damaged, half copied, replaced or gone, while the server runs."""

import os
import random
import shutil
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorflow.core.protobuf import saved_model_pb2

from tests.export.serving.clients import Grpc, http, rest_predict
from zoo.export.serving.server import Server
from zoo.export.serving.versions import STATES, Versions
from zoo.manifest import NAME

ROW = {"instances": [[0.5, -1, 2]]}
DATA = "variables/variables.data-00000-of-00001"
FILES = ["saved_model.pb", "variables/variables.index", DATA]
DAMAGE = {
    "truncated": lambda data, rng: data[: rng.randrange(1, len(data))],
    "emptied": lambda data, rng: b"",
    "removed": lambda data, rng: None,
    "a bit flipped": lambda data, rng: flipped(data, rng.randrange(8 * len(data))),
}
DAMAGES = [(name, kind) for name in FILES for kind in DAMAGE]


def flipped(data, bit):
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def damage(version, name, kind, rng):
    """Damages a file, and returns what puts it right again."""
    file = version / name
    whole = file.read_bytes()
    damaged = DAMAGE[kind](whole, rng)
    file.unlink()
    if damaged is not None:
        file.write_bytes(damaged)

    def mend():
        file.unlink(missing_ok=True)
        file.write_bytes(whole)

    return mend


@pytest.fixture
def served(folder, tmp_path):
    """A model with its first version, and what adds the others, of the same small graph."""
    model = tmp_path / "vae"

    def add(number):
        return shutil.copytree(folder / "1", model / str(number))

    add(1)
    return model, add


def states(server):
    _, body = http(server, "/v1/models/vae")
    return [(int(v["version"]), v["state"]) for v in body["model_version_status"]]


def answering(server):
    """The version behind an answer, after one over REST."""
    assert rest_predict(server, ROW)[0] == 200
    client = Grpc(server)
    client.predict({"z": np.zeros((1, 3), np.float32)})
    client.channel.close()
    return client.last_spec.version.value


def test_a_damaged_version_is_passed_over_and_served_once_it_is_whole(served):
    model, add = served
    rng = random.Random(0)
    with Server(model) as server:
        for number, (name, kind) in enumerate(DAMAGES, 2):
            broken = add(number)
            mend = damage(broken, name, kind, rng)
            assert answering(server) == 1, (name, kind)
            if (name, kind) != (FILES[0], "removed"):  # which is no version at all
                assert states(server) == [(number, "END"), (1, "AVAILABLE")], (name, kind)
                _, body = http(server, f"/v1/models/vae/versions/{number}")
                status = body["model_version_status"][0]["status"]
                assert status["error_code"] == "UNKNOWN" and status["error_message"]
            assert rest_predict(server, ROW, f"/versions/{number}")[0] == 404
            mend()
            assert answering(server) == number, (name, kind)
            assert states(server) == [(number, "AVAILABLE"), (1, "AVAILABLE")]
            shutil.rmtree(broken)


def test_a_graph_that_tensorflow_loads_with_an_error_of_its_own(served):
    model, add = served
    with Server(model) as server:
        version = add(2)
        (version / NAME).unlink()  # as that of another exporter, which has no manifest
        file = version / "saved_model.pb"
        proto = saved_model_pb2.SavedModel.FromString(file.read_bytes())
        proto.meta_graphs[0].ClearField("object_graph_def")
        file.write_bytes(proto.SerializeToString())
        assert answering(server) == 1
        assert states(server) == [(2, "END"), (1, "AVAILABLE")]


@pytest.mark.slow
def test_flipped_bits_of_the_graph_never_take_the_model_down(served):
    model, add = served
    rng = random.Random(1)
    with Server(model) as server:
        for number in range(2, 62):
            damage(add(number), FILES[0], "a bit flipped", rng)
            assert rest_predict(server, ROW)[0] == 200, number
            (newest, state), *_ = states(server)
            assert (newest, state) == (number, "END")
            shutil.rmtree(model / str(number))


@pytest.mark.parametrize("first", FILES)
def test_a_version_copied_in_place_is_served_once_it_is_complete(served, first):
    model, add = served
    with Server(model) as server:
        copied = model / "2"
        for name in sorted(FILES, key=lambda name: name != first):
            assert answering(server) == 1
            whole = (model / "1" / name).read_bytes()
            (copied / name).parent.mkdir(parents=True, exist_ok=True)
            with open(copied / name, "wb") as file:  # in two writes, as a slow copy
                file.write(whole[: len(whole) // 2])
                file.flush()
                assert answering(server) == 1
                file.write(whole[len(whole) // 2 :])
        assert answering(server) == 2
        assert states(server)[0] == (2, "AVAILABLE")


def test_a_version_that_is_gone_or_replaced_is_not_served_from_memory(served, folder):
    model, add = served
    version = add(2)
    with Server(model) as server:
        assert answering(server) == 2
        before = rest_predict(server, ROW)[1]
        shutil.rmtree(version)
        assert answering(server) == 1 and states(server) == [(1, "AVAILABLE")]
        assert http(server, "/v1/models/vae/versions/2")[0] == 404
        shutil.copytree(folder / "2", version)  # other weights
        replaced = rest_predict(server, ROW)[1]
        assert replaced != before
        shutil.copytree(folder / "1", version, dirs_exist_ok=True)  # and in place
        assert rest_predict(server, ROW)[1] == before
        shutil.rmtree(model)
        assert rest_predict(server, ROW)[0] == 404
        assert http(server, "/v1/models/vae")[0] == 404


def test_states_before_and_after_a_version_is_asked_for(served):
    model, add = served
    add(2), add(3)
    with Server(model) as server:
        assert states(server) == [(3, "AVAILABLE"), (2, "START"), (1, "START")]
        assert rest_predict(server, ROW, "/versions/1")[0] == 200
        assert states(server) == [(3, "AVAILABLE"), (2, "START"), (1, "AVAILABLE")]
        _, body = http(server, "/v1/models/vae/versions/2")  # asking for one loads it
        assert body["model_version_status"][0]["state"] == "AVAILABLE"
        add(4)
        assert states(server)[0] == (4, "AVAILABLE")


def make(model, number, content=b""):
    (model / str(number)).mkdir(parents=True, exist_ok=True)
    (model / str(number) / "saved_model.pb").write_bytes(content)


def test_a_version_that_loads_is_told_and_holds_nobody_up(tmp_path):
    begun, go_on = threading.Event(), threading.Event()

    def load(number, folder):
        if number == 2:
            begun.set()
            assert go_on.wait(20)
        return number

    versions = Versions(tmp_path, load)
    make(tmp_path, 1)
    assert versions.newest() == 1
    make(tmp_path, 2)
    loading = threading.Thread(target=versions.newest)
    loading.start()
    assert begun.wait(20)
    assert versions.newest(1) == 1
    assert versions.states() == {2: (STATES.LOADING, ""), 1: (STATES.AVAILABLE, "")}
    go_on.set()
    loading.join()
    assert versions.states() == {2: (STATES.AVAILABLE, ""), 1: (STATES.AVAILABLE, "")}


def test_a_version_that_changes_while_it_loads_is_loaded_again(tmp_path):
    loads = []

    def load(number, folder):
        content = (folder / "saved_model.pb").read_bytes()
        if not loads:
            make(tmp_path, 1, b"the second half too")
        loads.append(content)
        return content

    make(tmp_path, 1, b"half")
    versions = Versions(tmp_path, load)
    versions.newest()
    assert versions.newest() == b"the second half too" == versions.newest()
    assert len(loads) == 2


ERRORS = [
    *(ValueError, KeyError, AttributeError, AssertionError, NotImplementedError, RecursionError),
    *(MemoryError, OSError, UnicodeError, ZeroDivisionError, StopIteration, SystemError),
]


@given(st.sampled_from(ERRORS), st.text(max_size=30))
def test_whatever_loading_raises_is_why(tmp_path_factory, error, text):
    model = tmp_path_factory.mktemp("model")

    def load(number, folder):
        if number == 2:
            raise error(text)
        return number

    make(model, 1)
    make(model, 2)
    versions = Versions(model, load)
    assert versions.newest() == 1 and versions.newest(2) is None
    state, why = versions.states()[2]
    assert state == STATES.END and why.startswith(error.__name__) and "\n" not in why


def test_names_that_are_no_version(tmp_path):
    for name in ("1", "007", "9" * 19, "-3", "٣", "1.0", "tmp"):
        make(tmp_path, name)
    (tmp_path / "12").mkdir()
    (tmp_path / "13").touch()
    assert Versions(tmp_path, lambda number, folder: number).numbers() == [7, 1]
    os.rename(tmp_path, f"{tmp_path}.gone")
    assert Versions(tmp_path, lambda number, folder: number).newest() is None
