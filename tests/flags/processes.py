"""The programs as processes of their own, to be killed, interrupted and starved.

Importing TensorFlow takes longer than what these tests look at. So the processes are forked from a
server that has imported it once; each runs the program's own entry point and ends on its own.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PATIENCE = 240  # seconds; the machine may be busy

_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(["tests.flags.preload"])

TINY = ("--strategy=one_device", "--batch_size=8", "--width=0.06", "--latent_size=3")


class Ended(NamedTuple):
    """How a process ended: its exit code (minus the signal that killed it) and what it said."""

    code: int
    out: str
    err: str

    @property
    def last_line(self):
        """The last line on stderr: what comes before may be the progress bar."""
        return self.err.rstrip("\n").replace("\r", "\n").rsplit("\n", 1)[-1]


class Program:
    """A started program, as `Program("train", "--run_dir=...")`."""

    def __init__(self, name, *arguments):
        self._folder = tempfile.TemporaryDirectory(prefix="zoo-process-")
        self._streams = [Path(self._folder.name) / stream for stream in ("out", "err")]
        argv = [f"zoo-{name}", *map(str, arguments)]
        self._process = _server.Process(target=_run, args=(name, argv, *self._streams))
        # The server imports with the path it finds, not with pytest's.
        with _environment(PYTHONPATH=str(ROOT)):
            self._process.start()

    @property
    def running(self):
        """Whether it has not ended."""
        return self._process.is_alive()

    def send(self, number):
        """Sends it a signal."""
        os.kill(self._process.pid, number)

    def finish(self):
        """Waits for its end."""
        self._process.join(PATIENCE)
        if self.running:
            self.send(signal.SIGKILL)
            self._process.join()
        code, said = self._process.exitcode, [s.read_text() for s in self._streams]
        self._folder.cleanup()
        return Ended(code, *said)

    def wait_until(self, seen):
        """Returns as soon as `seen()` is true; the process has to be running until then."""
        deadline = time.monotonic() + PATIENCE
        while not seen():
            assert self.running, self.finish()
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.0005)


def call(name, *arguments):
    """Runs a program to its end."""
    return Program(name, *arguments).finish()


def _run(name, argv, out, err):
    for stream, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), stream)
    sys.argv = argv
    import_module(f"zoo.flags.{name}").run()


@contextlib.contextmanager
def _environment(**values):
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
