"""Arrays larger than the memory that a process may have."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
CAP = 3 * 2**28  # bytes of memory of its own, of which the libraries take a third; chosen

LOAD = """
import resource, sys
import numpy as np
from zoo.config import DataConfig
from zoo.data import load_dataset

resource.setrlimit(resource.RLIMIT_DATA, (int(sys.argv[2]), int(sys.argv[2])))
dataset = load_dataset(DataConfig(dataset="array", data_dir=sys.argv[1]))
print({name: len(split) for name, split in dataset.splits.items()}, dataset.fingerprint)
print(dataset.split("test").images[:3, 0, 0, 0])
"""


@pytest.mark.slow
def test_two_gigabytes_as_shards_under_a_memory_cap(tmp_path, cache_folder):
    shards = tmp_path / "shards"
    shards.mkdir()
    count, shape = 4096, (256, 256, 4)  # a quarter of a million bytes each, a gigabyte a shard
    for number in range(2):
        file = shards / f"part-{number}.npy"
        array = np.lib.format.open_memmap(file, "w+", np.uint8, (count, *shape))
        array[:, 0, 0, 0] = (number * count + np.arange(count)) % 251  # the rest stays a hole
    said = subprocess.run(
        [sys.executable, "-c", LOAD, str(shards), str(CAP)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
    )
    shutil.rmtree(cache_folder)  # or the disk keeps two gigabytes of each of the last runs
    assert said.returncode == 0, said.stderr
    assert "{'train': 6554, 'validation': 819, 'test': 819}" in said.stdout
    assert "[ 9 19 29]" in said.stdout
