"""A training by several processes of one machine, which share its processors and the batch."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.memory import peak_bytes
from tests.training.processes import cluster

ROOT = Path(__file__).parents[1]
BATCH_SIZE, STEPS, EVERY = 64, 300, 50
FLAGS = ("--model=vae", "--width=0.5", "--latent_size=50", f"--batch_size={BATCH_SIZE}")
TIMES = (f"--steps={STEPS}", f"--log_every={EVERY}", f"--checkpoint_every={STEPS}")


def point(count: int) -> tuple[float, float]:
    """Seconds of a step, and the bytes that all processes together have at their peaks.

    Raises:
        CalledProcessError: one of them failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "zoo.flags.train", f"--run_dir={folder}/run"]
        processes = [
            subprocess.Popen(
                [*command, "--strategy=multi_worker", *FLAGS, *TIMES],
                cwd=ROOT,
                env={**os.environ, "TF_CONFIG": config},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for config in cluster(count)
        ]
        peaks: dict[int, int] = {}
        while running := [process for process in processes if process.poll() is None]:
            for pid in (process.pid for process in running):
                peaks[pid] = max(peaks.get(pid, 0), peak_bytes(pid))  # 0 where it has just ended
            time.sleep(0.5)
        for process in processes:
            if process.returncode:
                raise subprocess.CalledProcessError(process.returncode, process.args)
        lines = (Path(folder) / "run" / "metrics.jsonl").read_text().splitlines()
        rates = [json.loads(line)["steps_per_second"] for line in lines[1:]]  # it traces before
    return statistics.median(1 / rate for rate in rates), float(sum(peaks.values()))
