"""Runs the benchmarks and writes one table: `python -m benchmarks.run [--only NAME]`."""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import importlib.util
import multiprocessing
import os
import platform
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import tensorflow as tf
import threadpoolctl

from benchmarks.timing import Comparison
from zoo.markdown import line, table

BENCHMARKS = (
    "marginal_kl",
    "pipeline",
    "serving",
    "server",
    "step",
    "start",
    "vae",
    "gan",
    "training",
    "memory",
)
RESULTS = Path(__file__).with_name("results.md")
COLUMNS = ("what", "against", "ratio (median)", "spread (min to max)", "target", "n")
EXPLANATION = """A ratio is the time of the thing over the time of its peer, except where the target
says speed. In brackets, medians. The two are timed in turn, A B A B."""
PACKAGES = (
    "numpy",
    "tensorflow",
    "keras",
    "tensorflow-probability",
    "torch",
    "jax",
    "litserve",
    "pythae",
)


def main() -> None:
    """Prints the table as it grows; a full run also writes it to `results.md`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=BENCHMARKS, help="one benchmark; writes no file")
    parser.add_argument("--note", help="a sentence on the machine for the head of the table")
    arguments = parser.parse_args()
    head, rows = f"# Benchmarks\n\n{conditions(arguments.note)}\n{EXPLANATION}\n\n", []
    with fresh_processes() as pool:
        print(head + table(COLUMNS), end="", flush=True)
        for name in [arguments.only] if arguments.only else BENCHMARKS:
            measured = [row.cells() for row in pool.submit(measure, name).result()]
            print("".join(map(line, measured)), end="", flush=True)
            rows += measured
    if not arguments.only:
        RESULTS.write_text(head + table(COLUMNS, rows), encoding="utf-8")


def fresh_processes() -> ProcessPoolExecutor:
    """Runs one thing after another, each in a process of its own: threads that one has left
    spinning would slow the next, and a peak of memory is the process's."""
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1)


def measure(name: str) -> list[Comparison]:
    """The rows of one benchmark."""
    return importlib.import_module(f"benchmarks.{name}").run()


def conditions(note: str | None = None) -> str:
    """What the figures depend on, as it was before the first measurement: a Markdown list."""
    blas = threadpoolctl.ThreadpoolController().select(user_api="blas").info()
    threads = tf.config.threading
    tf_threads = [
        threads.get_intra_op_parallelism_threads(),
        threads.get_inter_op_parallelism_threads(),
    ]
    intra, inter = (count or "all cores" for count in tf_threads)
    found = [name for name in PACKAGES if importlib.util.find_spec(name.replace("-", "_"))]
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in found)
    lines = [
        f"- CPUs: {os.cpu_count()}; load average at the start: {os.getloadavg()[0]:.2f}",
        f"- threads: BLAS {max((b['num_threads'] for b in blas), default=1)}, "
        f"TensorFlow intra-op {intra}, inter-op {inter}",
        f"- versions: Python {platform.python_version()}, {versions}",
    ]
    lines += [f"- {note}"] if note else []
    return "".join(f"{line}\n" for line in lines)


if __name__ == "__main__":
    main()
