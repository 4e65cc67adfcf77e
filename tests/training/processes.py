"""Starts the workers of a run as processes that meet over loopback."""

import contextlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATIENCE = 280  # seconds


def cluster(count):
    """TF_CONFIG of each of `count` workers, on ports that are free now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    tasks = [{"type": "worker", "index": i} for i in range(count)]
    return [json.dumps({"cluster": {"worker": addresses}, "task": task}) for task in tasks]


def start(command, **environment):
    """A Python process of the project's root."""
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def start_workers(command, count=2):
    """The workers of one cluster, each with the same command."""
    return [start(command, TF_CONFIG=config) for config in cluster(count)]


def finish(processes):
    """Exit code, stdout and stderr of each."""
    texts = [process.communicate(timeout=PATIENCE) for process in processes]
    return [(p.returncode, *text) for p, text in zip(processes, texts, strict=True)]


def train_with_workers(output, runs, count=2):
    """Trains `(run_dir, settings)` one after another with `count` workers; `output` takes the final
    state as worker 0 sees it in its folder 0, and so on. Returns what each said."""
    configs, processes = cluster(count), []
    for i, config in enumerate(configs):
        (output / str(i)).mkdir(parents=True)
        job = json.dumps([str(output / str(i)), [[str(f), settings] for f, settings in runs]])
        processes.append(start(["-m", "tests.training.worker", job], TF_CONFIG=config))
    results = finish(processes)
    for code, _, err in results:
        assert code == 0, err
    return [out for _, out, _ in results]
