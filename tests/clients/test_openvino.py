"""OpenVINO reads the SavedModel's folder; it sees the default signature alone, decode."""

import numpy as np
import pytest
import tensorflow as tf

from tests.clients.conftest import EXPORTED
from tests.export.runs import INPUTS

pytestmark = pytest.mark.clients


@pytest.mark.parametrize("name", EXPORTED)
def test_decode(export, name):
    import openvino

    core = openvino.Core()
    # Its default precision is bfloat16 where the processor has it.
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(core.read_model(export(name)), "CPU", settings)
    decode = tf.saved_model.load(str(export(name))).signatures["decode"]
    for rows in (1, 5):
        z = INPUTS["z"][:rows]
        seen = compiled({"z": z}).to_dict()
        seen = {next(iter(port.names)): values for port, values in seen.items()}
        for key, values in decode(z=tf.constant(z)).items():
            np.testing.assert_allclose(seen[key], values, rtol=0, atol=1e-5, err_msg=key)
