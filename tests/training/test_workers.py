"""What can be said of several workers, of a TPU and of logical devices without starting any."""

import json

import pytest
import tensorflow as tf

from zoo.config import RunConfig
from zoo.errors import UsageError, WorkerLost
from zoo.training.strategy import make_strategy
from zoo.training.workers import Workers

TWO = {"worker": ["127.0.0.1:1001", "127.0.0.1:1002"]}
FIRST = {"type": "worker", "index": 0}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, "is not set"),
        ("{", "does not describe a cluster"),
        ("[]", "does not describe a cluster"),
        ({"cluster": TWO}, "does not describe a cluster"),
        ({"cluster": {"worker": 3}, "task": FIRST}, "does not describe a cluster"),
        ({"cluster": {"worker": [3]}, "task": FIRST}, "not host:port"),
        ({"cluster": {"worker": ["127.0.0.1"]}, "task": FIRST}, "not host:port"),
        ({"cluster": {"worker": ["127.0.0.1:99999"]}, "task": FIRST}, "not host:port"),
        ({"cluster": {"worker": ["a:1", "a:1"]}, "task": FIRST}, "names an address twice"),
        ({"cluster": {**TWO, "ps": ["a:1"]}, "task": FIRST}, "other jobs than workers"),
        ({"cluster": {**TWO, "chief": ["a:1", "a:2"]}, "task": FIRST}, "at most one chief"),
        ({"cluster": TWO, "task": {"type": "worker", "index": 2}}, "not in its cluster"),
        ({"cluster": TWO, "task": {"type": "worker", "index": "0"}}, "not in its cluster"),
        ({"cluster": TWO, "task": {"type": "chief", "index": 0}}, "not in its cluster"),
        ({"cluster": TWO, "task": {"type": [], "index": 0}}, "not in its cluster"),
    ],
)
@pytest.mark.parametrize("strategy", ["multi_worker", "auto"])
def test_a_wrong_tf_config_is_refused(monkeypatch, strategy, config, message):
    if config is None:
        if strategy == "auto":
            return
        monkeypatch.delenv("TF_CONFIG", raising=False)
    else:
        text = config if isinstance(config, str) else json.dumps(config)
        monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UsageError, match=message) as error:
        make_strategy(strategy)
    assert "\n" not in str(error.value) and "expects" in str(error.value)


def test_no_tpu_here():
    with pytest.raises(UsageError, match="strategy=tpu finds no TPU, only CPU"):
        make_strategy("tpu")


def test_logical_devices_come_before_the_first_use():
    assert make_strategy("mirrored", 2) is make_strategy("mirrored")
    with pytest.raises(UsageError, match="cpu_devices=3 comes too late: .* with 2 CPU devices"):
        make_strategy("mirrored", 3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cpu_devices": 2}, "cpu_devices=2 applies to strategy=mirrored only, not to auto"),
        ({"cpu_devices": 0, "strategy": "mirrored"}, "cpu_devices=0 is not accepted"),
        ({"cpu_devices": 3, "strategy": "mirrored"}, "does not divide over 3 replicas"),
        ({"strategy": "tpu", "jit_compile": True}, "does not apply to strategy=tpu"),
    ],
)
def test_settings_that_do_not_go_together(settings, message):
    with pytest.raises(UsageError, match=message):
        RunConfig.create(batch_size=8, **settings)


def test_one_process_agrees_with_itself():
    workers = Workers(make_strategy("mirrored"))
    assert workers.chief and workers.count == 1 and workers.total(3) == 3
    workers.agree({"seed": 3})
    with pytest.raises(UsageError, match="as it was"), workers.all_or_none():
        raise UsageError("as it was")


class Three(Workers):
    """One of three workers, of which the others say what they are told to."""

    def __init__(self, others):
        self.count, self.chief, self.votes = 3, False, others

    def total(self, value):
        return value + sum(self.votes)


def test_the_failure_of_another_stops_this_one():
    with pytest.raises(UsageError, match="1 of the 3 workers cannot start"):
        with Three([1, 0]).all_or_none():
            pass
    with pytest.raises(UsageError, match="the workers differ in seed, here 3"):
        Three([1, 1]).agree({"seed": 3})


def test_a_failed_collective_is_a_lost_worker():
    error = tf.errors.UnavailableError(None, None, "Collective ops is aborted by: it\nis dead")
    with pytest.raises(WorkerLost, match="lost one of the 3 workers: .* by: it. Start all"):
        with Three([0, 0]).watched():
            raise error
    with pytest.raises(tf.errors.UnavailableError), Workers(make_strategy("one_device")).watched():
        raise error
