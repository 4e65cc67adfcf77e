"""Signals at moments when a program can least use them: real processes."""

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios

import pytest

from tests.flags.processes import PATIENCE, ROOT, TINY
from tests.flags.test_programs import NAMES

pytestmark = pytest.mark.slow

ENDS = {
    signal.SIGINT: (130, "interrupted"),
    signal.SIGTERM: (143, "terminated"),
    signal.SIGHUP: (129, "hung up"),
}

# What Python runs before all else: a signal when the module AT is looked for.
CUSTOMIZE = """
import os, sys

class Finder:
    def find_spec(self, name, path, target=None):
        if name == os.environ["AT"]:
            os.kill(os.getpid(), int(os.environ["NUMBER"]))

sys.meta_path.insert(0, Finder())
"""


def hear():
    """Undoes what the tests themselves may have been started to ignore."""
    for number in ENDS:
        signal.signal(number, signal.SIG_DFL)


@pytest.fixture
def start(tmp_path):
    """Starts a program that gets a signal when it imports a module."""
    (tmp_path / "sitecustomize.py").write_text(CUSTOMIZE)

    def run(command, at, number, preexec_fn=hear, **options):
        surroundings = {"PYTHONPATH": f"{tmp_path}:{ROOT}", "AT": at, "NUMBER": str(int(number))}
        done = subprocess.run(
            [sys.executable, *command],
            cwd=tmp_path,
            env={**os.environ, **surroundings},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            preexec_fn=preexec_fn,
            **options,
        )
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.mark.parametrize("number", ENDS)
@pytest.mark.parametrize("name", ["train", "report"])
def test_among_the_first_imports(start, name, number):
    code, said = ENDS[number]
    ended = start(["-m", f"flags.{name}", "--help"], "absl", number)
    assert ended == (code, "", f"{name}: {said}\n")


@pytest.mark.parametrize("name", NAMES)
def test_of_the_installed_program(start, tmp_path, name):
    script = tmp_path / f"zoo-{name}"
    script.write_text(f"from flags.{name} import run\nrun()\n")
    ended = start([script, "--help"], "absl", signal.SIGTERM)
    assert ended == (143, "", f"zoo-{name}: terminated\n")


@pytest.mark.parametrize("number", ENDS)
def test_while_tensorflow_is_imported(start, tmp_path, number):
    code, said = ENDS[number]
    command = ["-m", "flags.train", *TINY, f"--run_dir={tmp_path / 'run'}"]
    assert start(command, "keras.models", number) == (code, "", f"train: {said}\n")


@pytest.mark.parametrize("number", ENDS)
def test_while_it_works(start, tmp_path, number):
    """The run's own modules are imported by the program itself."""
    code, said = ENDS[number]
    command = ["-m", "flags.train", *TINY, f"--run_dir={tmp_path / 'run'}"]
    assert start(command, "zoo.training.loop", number) == (code, "", f"train: {said}\n")


def test_what_is_ignored_stays_ignored(start):
    """As under nohup."""

    def ignore():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    command = ["-m", "flags.train", "--help"]
    code, out, err = start(command, "absl", signal.SIGHUP, preexec_fn=ignore)
    assert (code, err) == (0, "") and "--latent_size" in out


def test_whoever_imports_the_programs_keeps_their_own(start):
    code = "import signal, flags.train; print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)"
    assert start(["-c", code], "none", 0) == (0, "True\n", "")


def test_a_terminal_that_is_closed_under_a_training(tmp_path):
    """It takes its progress bar with it, and leaves a checkpoint."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("4H", 24, 100, 0, 0))
    folder = tmp_path / "run"
    settings = ("--steps=1000000", "--checkpoint_every=1000000", "--log_every=1")
    process = subprocess.Popen(
        [sys.executable, "-m", "flags.train", *TINY, *settings, f"--run_dir={folder}"],
        cwd=ROOT,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    said = b""
    while b"steps/s, " not in said or not (folder / "metrics.jsonl").exists():
        said = os.read(ours, 4096)  # fails if the program has ended
    os.close(ours)
    assert process.wait(PATIENCE) == 0
    assert len(list((folder / "checkpoints").glob("step-*"))) == 1
