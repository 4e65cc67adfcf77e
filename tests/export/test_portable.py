"""The portable bundle as far as TensorFlow alone can tell; other runtimes are in tests/clients."""

import json

import numpy as np
import pytest
import tensorflow as tf

from tests.export.runs import INPUTS, make_run
from tests.models.variants import tiny_model
from zoo.errors import UsageError
from zoo.export import formats
from zoo.export.portable import FOLDER
from zoo.export.saved_model import export_saved_model
from zoo.noise import row_noise
from zoo.saved_model.signatures import portable_functions, signature_functions

VAE = {"model": "vae"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "vae", VAE)


def test_elbo_noise_is_the_elbo_of_the_noise_given(run):
    images, seed = tf.constant(INPUTS["images"]), tf.constant(INPUTS["seed"])
    noise = row_noise(seed).normal("posterior", (3,))
    seen = portable_functions(run.model)["elbo_noise"](images, noise)
    for key, values in signature_functions(run.model)["elbo"](images, seed).items():
        np.testing.assert_allclose(seen[key], values, rtol=1e-6, err_msg=key)


def test_noise_has_the_columns_that_the_elbo_asks_for():
    contrast = {"model": "adversarial_vb", "adaptive_contrast": True}
    for variant, inputs in (
        (contrast, ["images", "noise"]),
        ({"model": "aae", "posterior": "deterministic"}, ["images"]),
    ):
        specs = portable_functions(tiny_model(variant))["elbo_noise"].input_signature
        assert [spec.name for spec in specs] == inputs
    widths = portable_functions(tiny_model(contrast))["elbo_noise"].input_signature[1].shape
    assert widths.as_list() == [None, 3 * (1 + 8)]  # the draw, and those of the moments


def test_a_gan_has_decode_alone():
    assert set(portable_functions(tiny_model({"model": "dcgan"}))) == {"decode"}


def test_a_bundle_lies_in_the_saved_model(run, tmp_path):
    version = export_saved_model(
        run, tmp_path, "vae", signatures=["decode", "sample"], formats=["saved_model", "tflite"]
    )
    assert [f.name for f in (version / FOLDER).iterdir()] == ["model.tflite"]
    assert (version / FOLDER / "model.tflite").read_bytes()[4:8] == b"TFL3"
    bundle = json.loads((version / "assets" / "model_card.json").read_text())["portable"]
    assert set(bundle["functions"]) == {"decode"}
    assert [f.name for f in version.parent.iterdir()] == ["1"]


def test_a_failed_conversion_leaves_nothing(run, tmp_path, monkeypatch):
    def fail(*_):
        raise UsageError("decode cannot be converted")

    monkeypatch.setattr("zoo.export.portable._tflite", fail)
    with pytest.raises(UsageError, match="cannot be converted"):
        export_saved_model(
            run, tmp_path, "vae", signatures=["decode"], formats=["saved_model", "tflite"]
        )
    assert not (tmp_path / "vae").exists()


def test_signatures_without_a_portable_form_are_refused(run, tmp_path):
    with pytest.raises(UsageError, match="nothing of the signatures sample: expected one of"):
        export_saved_model(
            run, tmp_path, "vae", signatures=["sample"], formats=["saved_model", "tflite"]
        )
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setattr(formats, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"needs the package onnx: .*\[portable\]"):
        formats.require_formats(["saved_model", "onnx"])
    formats.require_formats(["saved_model", "tflite"])
