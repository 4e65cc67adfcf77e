"""One of several workers, as TF_CONFIG says: trains the runs it is given, in their order.

Its argument is JSON: where to leave the final state of each run, and `[run_dir, settings]` of each.
What a run is refused or stopped with goes to stdout.
"""

import json
import sys
from pathlib import Path

import numpy as np

from zoo.config import RunConfig
from zoo.errors import UsageError
from zoo.flags.program import start_tensorflow

start_tensorflow()
from zoo.training.loop import train  # noqa: E402

output, runs = json.loads(sys.argv[1])
for run_dir, settings in runs:
    try:
        training = train(RunConfig.create(strategy="multi_worker", **settings), run_dir)
    except UsageError as error:
        print(error)
        continue
    state = {name: variable.numpy() for name, variable in training.model.state.items()}
    np.savez(Path(output) / Path(run_dir).name, **state)
