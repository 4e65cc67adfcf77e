"""Runs every signature of SavedModels with TensorFlow alone: `clean_client.py INPUTS.npz MODEL...`.

Writes `outputs.npz` into the folder above each model's version.
"""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

inputs = dict(np.load(sys.argv[1]))
for folder in map(Path, sys.argv[2:]):
    model = tf.saved_model.load(str(folder))
    outputs = {}
    for name, function in model.signatures.items():
        feed = {key: inputs[key] for key in function.structured_input_signature[1]}
        for rows in (1, 2, 5):
            results = function(**{key: tf.constant(value[:rows]) for key, value in feed.items()})
            outputs |= {f"{name}/{key}/{rows}": value.numpy() for key, value in results.items()}
    np.savez(folder.parent / "outputs.npz", **outputs)
assert not any(name.split(".")[0] in ("zoo", "export", "flags") for name in sys.modules)
