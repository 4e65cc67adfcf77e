"""zoo-serve as a process: its banner, a request, and its end by signals."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.export.serving.clients import Grpc, rest_predict

ROOT = Path(__file__).parents[3]
BANNER = r"REST http://127\.0\.0\.1:(\d+)/v1/models/vae, gRPC 127\.0\.0\.1:(\d+)\n"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serves_until_it_is_told_to_stop(folder, number):
    command = [sys.executable, "-m", "flags.serve", f"--model={folder}"]
    command += ["--rest_port=0", "--grpc_port=0"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, text=True, **pipes) as process:
        notice = process.stdout.readline()
        assert "in production, let TF Serving" in notice
        ports = re.search(BANNER, process.stdout.readline())
        server = SimpleNamespace(rest_port=int(ports[1]), grpc_port=int(ports[2]))
        assert rest_predict(server, {"instances": [[0, 0, 0]]})[0] == 200
        client = Grpc(server)
        assert [v.version for v in client.status()] == [2, 1]
        client.channel.close()
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, "", "")


@pytest.mark.slow
def test_help_takes_less_than_two_seconds():
    start = time.monotonic()
    command = [sys.executable, "-m", "flags.serve", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert time.monotonic() - start < 2 and "--rest_port" in done.stdout


def test_a_missing_extra_is_named(tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "saved_model.pb").touch()
    code = "import sys; sys.modules['grpc'] = None; from flags.serve import run; run()"
    command = [sys.executable, "-c", code, f"--model={tmp_path}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "zoo-serve needs grpcio: install the extra 'serving'" in done.stderr
