"""Every program where there is less than usual: no streams, no home, and paths that are not whole.

Each is a process of its own from the shell, for what is missing is missing from its first import.
"""

import contextlib
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import zoo
from tests.flags.processes import PATIENCE, ROOT, TINY
from tests.flags.test_programs import NAMES

pytestmark = pytest.mark.slow

UNKNOWN = 54_321  # a user without an entry in /etc/passwd


@pytest.fixture
def place(trained, tmp_path, save_images):
    """A folder with `photos`, `run` and `served/tiny/1`."""
    shutil.copytree(trained, tmp_path / "place")
    save_images(tmp_path / "place" / "photos", 12)
    return tmp_path / "place"


def arguments(name, where, port):
    """A command line of each program, with paths that begin with `where`."""
    run = f"--run_dir={where}run"
    data = ("--dataset=folder", f"--data_dir={where}photos", "--image_size=28", "--steps=2")
    return {
        "train": (*TINY, *data, f"--run_dir={where}new"),
        "evaluate": (run, "--metrics=elbo", "--num_samples=4", f"--output={where}new.json"),
        "encode": (run, "--split=test", f"--output={where}new.npz"),
        "sample": (run, "--num_samples=4", f"--output={where}new.png"),
        "fit_prior": (run, "--prior=gmm_full_10", f"--output_dir={where}new"),
        "export": (run, f"--output={where}new", "--name=tiny"),
        "serve": (f"--model={where}served/tiny", f"--rest_port={port}", "--grpc_port=0"),
        "report": (run,),
        "paper": ("--experiment=synthetic", "--scale=smoke", f"--output={where}new"),
    }[name]


def check_result(name, place):
    """What a program has written is whole, and nothing that was printed is in it."""
    if name == "train":
        run = zoo.load_run(place / "new")
        assert int(run.model.step.numpy()) == 2 and [m["step"] for m in run.history()] == [2]
        assert run.config.data.data_dir == str(place / "photos")
        assert sum(map(len, run.dataset.splits.values())) == 12
    elif name == "evaluate":
        assert json.loads((place / "new.json").read_text())["records"]
    elif name == "encode":
        with np.load(place / "new.npz") as codes:
            assert len(codes["z"]) and np.isfinite(codes["z"]).all()
    elif name == "sample":
        with Image.open(place / "new.png") as image:
            assert np.asarray(image).ndim == 3
    elif name == "fit_prior":
        new = zoo.load_run(place / "new")
        assert new.config.model.prior == "gmm_full_10" and int(new.model.step.numpy()) == 2
    elif name == "export":
        assert (place / "new" / "tiny" / "1" / "saved_model.pb").exists()
    elif name == "report":
        assert (place / "run" / "report.html").read_text().endswith("</html>\n")
    elif name == "paper":
        assert json.loads((place / "new" / "synthetic" / "result.json").read_text())["claims"]
    assert not list(place.rglob(".partial-*")) and not list(place.rglob("~"))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run(name, where, *, before=(), closed=(), **options):
    """Runs a program to its end, or to its first answer; returns its exit code and stderr."""
    port = free_port()
    command = [*before, sys.executable, "-m", f"zoo.flags.{name}", *arguments(name, where, port)]

    def close():
        for number in closed:
            os.close(number)

    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=close,
        **options,
    ) as process:
        if name == "serve":
            wait_for_answer(process, port)
            process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=PATIENCE)
    return process.returncode, err


def wait_for_answer(process, port):
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None:
        assert time.monotonic() < deadline, "waited in vain"
        with contextlib.suppress(OSError):
            url = f"http://127.0.0.1:{port}/v1/models/tiny"
            with urllib.request.urlopen(url, timeout=10) as answer:
                assert json.load(answer)["model_version_status"]
                return
        time.sleep(0.1)


def environment(**changes):
    kept = {k: v for k, v in os.environ.items() if k not in ("ZOO_CACHE_DIR", "XDG_CACHE_HOME")}
    return {**kept, "PYTHONPATH": str(ROOT), **changes}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("closed", [(2,), (0, 1, 2)], ids=str)
def test_streams_that_are_closed(place, name, closed):
    """As under a daemon. The next file that is opened would take what is printed."""
    cache = environment(ZOO_CACHE_DIR=str(place.parent / "cache"))
    code, err = run(name, f"{place}/", closed=closed, cwd=place.parent, env=cache)
    assert code == 0 and "Traceback" not in err, err
    check_result(name, place)


@pytest.mark.parametrize("name", NAMES)
def test_no_home_and_no_input(trained, save_images, name):
    """A user whom the system does not know, with nothing in the environment, as in a container."""
    if os.geteuid() or not shutil.which("setpriv"):
        pytest.skip("only root becomes another user")
    with pytest.raises(KeyError):
        pwd.getpwuid(UNKNOWN)
    # The interpreter may lie in root's own home; what is read there is no matter of this test.
    user = ["setpriv", f"--reuid={UNKNOWN}", f"--regid={UNKNOWN}", "--clear-groups"]
    user += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    bare = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryDirectory() as folder:  # pytest's are for root alone
        place = shutil.copytree(trained, Path(folder) / "place")
        save_images(place / "photos", 12)
        for path in (place.parent, place, *place.rglob("*")):
            os.chown(path, UNKNOWN, UNKNOWN)
        code, err = run(name, f"{place}/", before=user, closed=(0,), cwd=place, env=bare)
        assert code == 0 and "Traceback" not in err, err
        if name == "train":
            assert err.count("cache cannot be written (no home folder is known)") == 1
        check_result(name, place)


@pytest.mark.parametrize("name", NAMES)
def test_a_home_that_cannot_be_made_and_paths_from_here(place, name):
    code, err = run(name, "../place/", cwd=place, env=environment(HOME="/proc/none"))
    assert code == 0 and "Traceback" not in err, err
    if name == "train":
        assert err.count("images are kept in memory, because the cache cannot be written") == 1
    check_result(name, place)


@pytest.mark.parametrize("name", NAMES)
def test_paths_from_home_and_no_output(place, name):
    elsewhere = place.parent / "elsewhere"
    elsewhere.mkdir()
    code, err = run(name, "~/", closed=(1,), cwd=elsewhere, env=environment(HOME=str(place)))
    assert code == 0 and "Traceback" not in err, err
    if name == "train":
        assert f"folder: {place}/photos: 12 files found, 12 images used\n" in err
    check_result(name, place)
    assert not list(elsewhere.iterdir())
