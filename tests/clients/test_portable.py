"""The portable bundle under onnxruntime and LiteRT, against the SavedModel."""

import json

import numpy as np
import pytest
import tensorflow as tf

from tests.clients.conftest import EXPORTED
from tests.export.runs import INPUTS
from zoo.errors import UsageError
from zoo.export.portable import FOLDER, write_portable
from zoo.models.adversarial_vb import MOMENT_DRAWS
from zoo.noise import row_noise

pytestmark = pytest.mark.clients

NATS = {"rtol": 1e-5, "atol": 0}
PIXELS = {"rtol": 0, "atol": 1e-5}
CODES = {"rtol": 1e-5, "atol": 1e-5}  # of which some lie near 0


def drawn(columns):
    """The noise that `elbo` draws for itself from the seeds."""
    noise, size = row_noise(INPUTS["seed"]), INPUTS["z"].shape[1]
    purposes = ["posterior", *(f"moments {i}" for i in range(MOMENT_DRAWS))]
    parts = [noise.normal(purpose, (size,)) for purpose in purposes]
    return tf.concat(parts, axis=1).numpy()[:, :columns]


def onnx_runner(folder):
    import onnxruntime

    def run(name, feed):
        session = onnxruntime.InferenceSession(str(folder / f"{name}.onnx"))
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, feed), strict=True))

    return run


def litert_runner(folder):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(folder / "model.tflite"))
    return lambda name, feed: interpreter.get_signature_runner(name)(**feed)


RUNNERS = {"onnxruntime": onnx_runner, "litert": litert_runner}


@pytest.mark.parametrize("name", EXPORTED)
def test_results_agree_with_the_saved_model(export, name):
    version = export(name)
    signatures = tf.saved_model.load(str(version)).signatures
    bundle = json.loads((version / "assets" / "model_card.json").read_text())["portable"]
    assert set(bundle["functions"]) == {
        *({"decode", "encode"} & set(signatures)),
        *({"elbo_noise"} if "elbo" in signatures else ()),
    }
    assert bundle["folder"] == FOLDER
    runners = {runtime: make(version / FOLDER) for runtime, make in RUNNERS.items()}
    for function, described in bundle["functions"].items():
        widths = {name: spec["shape"][-1] for name, spec in described["inputs"].items()}
        given = INPUTS | {"noise": drawn(widths.get("noise", 0))}
        signature = signatures[function.removesuffix("_noise")]
        needs = signature.structured_input_signature[1]
        expected = signature(**{key: tf.constant(given[key]) for key in needs})
        for runtime, runner in runners.items():
            for rows in (1, 5):
                seen = runner(function, {key: given[key][:rows] for key in widths})
                assert seen.keys() == expected.keys() == described["outputs"].keys()
                for key, values in seen.items():
                    assert values.dtype == np.float32 and len(values) == rows
                    where = f"{runtime} {function} {key}"
                    tolerance = {"decode": PIXELS, "encode": CODES}.get(function, NATS)
                    np.testing.assert_allclose(
                        values, expected[key][:rows], err_msg=where, **tolerance
                    )


@pytest.mark.parametrize("target", ["onnx", "tflite"])
def test_an_operation_that_a_format_lacks_is_refused(tmp_path, target):
    # tf2onnx writes an invalid model here and reports success.
    spec = tf.TensorSpec([None, 2], tf.float32, name="x")
    function = tf.function(lambda x: {"y": tf.math.erfc(x)}, input_signature=[spec])
    with pytest.raises(UsageError, match=f"(?s)tail cannot be converted to {target}: .*Erfc"):
        write_portable(tmp_path, {"tail": function}, [], [target])
