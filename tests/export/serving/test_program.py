"""zoo-serve as a process: its banner, a request, and its end by signals."""

import contextlib
import json
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import grpc
import pytest
import tensorflow as tf

from tests.export.serving.clients import Grpc, http, raw, rest_predict

ROOT = Path(__file__).parents[3]
BANNER = r"REST http://127\.0\.0\.1:(\d+)/v1/models/vae, gRPC 127\.0\.0\.1:(\d+)\n"


@contextlib.contextmanager
def program(model, *flags, preexec_fn=None):
    """zoo-serve as a process, and its ports."""
    command = [sys.executable, "-m", "zoo.flags.serve", f"--model={model}", *flags]
    command += ["--rest_port=0", "--grpc_port=0"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    options = {"cwd": ROOT, "text": True, "preexec_fn": preexec_fn}
    with subprocess.Popen(command, **options, **pipes) as process:
        notice = process.stdout.readline()
        assert "in production, let TF Serving" in notice
        ports = re.search(BANNER, process.stdout.readline())
        yield process, SimpleNamespace(rest_port=int(ports[1]), grpc_port=int(ports[2]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code", "said"),
    [
        (signal.SIGTERM, 0, ""),
        (signal.SIGINT, 0, ""),
        (signal.SIGHUP, 129, "serve: hung up\n"),
    ],
)
def test_serves_until_it_is_told_to_stop(folder, number, code, said):
    with program(folder) as (process, server):
        assert rest_predict(server, {"instances": [[0, 0, 0]]})[0] == 200
        client = Grpc(server)
        assert [v.version for v in client.status()] == [2, 1]
        client.channel.close()
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (code, "", said)


@pytest.mark.slow
def test_what_is_ignored_stays_ignored(folder):
    """As SIGINT in a background job of a shell."""

    def ignore():
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    with program(folder, preexec_fn=ignore) as (process, server):
        process.send_signal(signal.SIGINT)
        assert rest_predict(server, {"instances": [[0, 0, 0]]})[0] == 200
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, "", "")


@pytest.mark.slow
def test_two_signals_at_once_stop_it_quietly(folder):
    with program(folder) as (process, _):
        # Both wait for it to go on.
        for number in (signal.SIGSTOP, signal.SIGTERM, signal.SIGINT, signal.SIGCONT):
            process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, "", "")


@pytest.mark.slow
def test_a_signal_that_another_thread_gets_stops_it_too():
    code = """
import signal, threading, time
from zoo.export.serving.server import Stop

stop = Stop()
other = threading.Thread(target=time.sleep, args=(60,), daemon=True)
other.start()
threading.Timer(0.5, signal.pthread_kill, (other.ident, signal.SIGTERM)).start()
stop.wait()
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=50)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_second_of_a_signal_ends_it_at_once(number):
    code = """
import threading
from zoo.export.serving.server import Stop

stop = Stop()
print("ready", flush=True)
stop.wait()
print("stopping", flush=True)
threading.Event().wait(60)
"""
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE) as process:
        for said in ("ready\n", "stopping\n"):
            assert process.stdout.readline() == said
            process.send_signal(number)
        assert process.wait(timeout=50) == -number


class Doubtful(tf.Module):
    """Gives what is not finite, which our own models refuse to take."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def logarithm(self, x):
        kinds = (tf.bfloat16, tf.float32, tf.float64)
        return {kind.name: tf.cast(tf.math.log(x), kind) for kind in kinds}


def no_json(token):
    raise AssertionError(f"{token} is no JSON")


@pytest.mark.slow
def test_what_may_be_sent_to_it_is_answered_and_leaves_no_traceback(folder, tmp_path):
    model = tmp_path / "vae"
    module = Doubtful()
    tf.saved_model.save(module, str(model / "1"), signatures=module.logarithm)
    flag = "--max_json_megabytes=1"
    with program(model, flag) as (process, server), contextlib.ExitStack() as open_:
        for data in (b"", b"POST", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n{") * 50:
            open_.enter_context(raw(server, data, wait=False))
        path = f"http://127.0.0.1:{server.rest_port}/v1/models/vae:predict"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(path, b'{"inputs": [-1, 0, 1, "Infinity"]}', timeout=30) as response:
            outputs = json.loads(response.read(), parse_constant=no_json)["outputs"]
        assert outputs == dict.fromkeys(outputs, ["NaN", "-Infinity", 0.0, "Infinity"])
        assert outputs.keys() == {"bfloat16", "float32", "float64"}
        assert rest_predict(server, b'{"inputs": [' + b"[]," * 300_000 + b"[]]}")[0] == 400
        assert rest_predict(server, b" " * ((1 << 20) + 1))[0] == 413
        with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
            predict = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
            for message in (b"\xff", b"no proto", b"\x12\x00" * 20_000):
                with pytest.raises(grpc.RpcError) as error:
                    predict(message, timeout=20)
                assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        shutil.copytree(folder / "1", model / "2")  # with another graph's variables
        shutil.copytree(model / "1" / "variables", model / "2" / "variables", dirs_exist_ok=True)
        assert rest_predict(server, {"inputs": [1]})[1]["outputs"]["float32"] == [0.0]
        _, body = http(server, "/v1/models/vae")
        assert [v["state"] for v in body["model_version_status"]] == ["END", "AVAILABLE"]
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "", "")


@pytest.mark.slow
def test_help_takes_less_than_two_seconds():
    start = time.monotonic()
    command = [sys.executable, "-m", "zoo.flags.serve", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert time.monotonic() - start < 2 and "--rest_port" in done.stdout


@pytest.mark.parametrize("package", ["grpc", "orjson"])
def test_a_missing_extra_is_named(package, tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "saved_model.pb").touch()
    code = f"import sys; sys.modules['{package}'] = None; from zoo.flags.serve import run; run()"
    command = [sys.executable, "-c", code, f"--model={tmp_path}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert f"zoo-serve needs {package}: install the extra 'serving'" in done.stderr
