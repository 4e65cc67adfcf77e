"""From the shell to the first step: zoo-train against importing TensorFlow and tracing by hand."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.subjects import BATCH_SIZE
from benchmarks.timing import Comparison, interleaved, seconds

REPEATS = 5
ROOT = Path(__file__).parents[1]
_BY_HAND = """
import tensorflow as tf
from benchmarks.peers.plain_tensorflow import vae_step
from benchmarks.peers.specification import COLOR_MNIST
from benchmarks.subjects import images
vae_step(COLOR_MNIST)(tf.constant(images(COLOR_MNIST))).numpy()
"""


def run() -> list[Comparison]:
    """One row."""
    pairs = interleaved(_zoo_train, lambda: seconds(_by_hand), REPEATS)
    what = "zoo-train to its first step, VAE"
    peer = "importing TensorFlow and tracing the step by hand"
    return [Comparison(what, peer, pairs, "at most 1.1")]


def _by_hand() -> None:
    subprocess.run([sys.executable, "-c", _BY_HAND], cwd=ROOT, check=True, capture_output=True)


def _zoo_train() -> float:
    """Seconds until the metrics of the first step are on disk, which is after it."""
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "run" / "metrics.jsonl"
        flags = ["--model=vae", f"--batch_size={BATCH_SIZE}", "--steps=100000", "--log_every=1"]
        command = [sys.executable, "-m", "zoo.flags.train", *flags, f"--run_dir={lines.parent}"]
        start = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            while not (lines.exists() and lines.stat().st_size):
                if process.poll() is not None:
                    raise RuntimeError(f"zoo-train ended with {process.returncode}")
                time.sleep(0.005)
            return time.perf_counter() - start
        finally:
            process.kill()
            process.wait()
