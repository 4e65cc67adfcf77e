"""Loads runs and `.keras` files in a process that has trained none: `clean_reader.py INPUTS.npz
FOLDER...`.

Each folder holds `run` and `model.keras`; it gets `run.npz` and `keras.npz`, with every weight
under its name and every output of a signature as `signature:output`; the latter of one signature.
"""

import sys
from pathlib import Path

import numpy as np

from zoo.flags.program import start_tensorflow

start_tensorflow()
import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

import zoo  # noqa: E402
from tests.models.variants import tiny_model  # noqa: E402
from zoo.models import model_class  # noqa: E402
from zoo.registry import MODELS  # noqa: E402
from zoo.saved_model.signatures import signature_functions  # noqa: E402

inputs = dict(np.load(sys.argv[1]))
for name in MODELS:  # what Keras needs to know before it can read its files
    model_class(name)
tiny_model({"model": "vgh_plus_plus"})  # its layers push the others' numbers on


def content(model, signatures=None):
    found = {name: variable.numpy() for name, variable in model.state.items()}
    for signature, function in signature_functions(model).items():
        if signatures is not None and signature not in signatures:
            continue
        feed = [tf.constant(inputs[spec.name]) for spec in function.input_signature]
        found |= {f"{signature}:{key}": v.numpy() for key, v in function(*feed).items()}
    return found


for folder in map(Path, sys.argv[2:]):
    np.savez(folder / "run.npz", **content(zoo.load_run(folder / "run").model))
    model = keras.models.load_model(folder / "model.keras")
    np.savez(folder / "keras.npz", **content(model, [model.available_signatures[-1]]))
