"""Exports that the foreign clients load, each made once per session, with the portable bundle."""

import functools

import pytest

from tests.export.runs import make_run
from tests.models.variants import VARIANTS, variant_id
from zoo.export.saved_model import export_saved_model

# Options that change the training alone leave the same graphs.
TRAINING = {"kl_weight", "dequantization", "critic_updates", "real_weight", "adversarial_loss"}
TRAINING |= {"penalty_weight", "transport_cost", "mmd_kernel", "known_prior"}
TRAINING |= {"total_correlation_weight", "decoder_updates", "moment_divergence"}
TRAINING |= {"image_match_weight", "code_match_weight"}
EXPORTED = {variant_id(v): v for v in VARIANTS if not TRAINING & set(v) - {"likelihood"}}
VAE = "vae"


@pytest.fixture(scope="session")
def export(tmp_path_factory):
    """The version folder of the export of a variant, by name."""
    root = tmp_path_factory.mktemp("clients")

    @functools.cache
    def folder(name):
        run = make_run(root / "runs" / name, EXPORTED[name])
        formats = ("saved_model", "onnx", "tflite")
        return export_saved_model(run, root / "served", name, formats=formats)

    return folder
