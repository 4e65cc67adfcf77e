"""What the settings of GPUs and TPUs bring, on the machine that it is run on.

`python -m benchmarks.accelerator` prints one row per model and setting: the time of a step of
`zoo-train` with it over that without. On CPUs `jit_compile` and bfloat16 are expected to cost time.
"""

from __future__ import annotations

import argparse

from benchmarks.run import conditions, table
from benchmarks.timing import Comparison, interleaved
from benchmarks.training import seconds_of_a_step
from zoo.registry import MODELS

SETTINGS = {
    "mixed_bfloat16": {"dtype_policy": "mixed_bfloat16"},
    "jit_compile": {"jit_compile": True},
    "steps_per_execution=10": {"steps_per_execution": 10},
    "all three": {
        "dtype_policy": "mixed_bfloat16",
        "jit_compile": True,
        "steps_per_execution": 10,
    },
}


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default=",".join(MODELS), help="comma-separated")
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=300, help="of each run, a multiple of 30")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    common = {n: getattr(arguments, n) for n in ("width", "batch_size", "steps")}
    head, rows = conditions(), []
    for model in arguments.models.split(","):
        for name, settings in SETTINGS.items():
            pairs = interleaved(
                lambda model=model, settings=settings: seconds_of_a_step(
                    model, **common, **settings
                ),
                lambda model=model: seconds_of_a_step(model, **common),
                arguments.repeats,
                warm=True,  # each run leaves its own start out
            )
            rows.append(Comparison(f"{model} with {name}", "without", pairs, "-"))
    print(f"{head}\n{table(rows)}")


if __name__ == "__main__":
    main()
