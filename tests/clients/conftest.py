"""Exports that the foreign clients load, each made once per session, with the portable bundle."""

import functools

import pytest

from tests.export.runs import make_run
from tests.models import variants
from tests.models.variants import variant_id
from zoo.export.saved_model import export_saved_model

EXPORTED = {variant_id(v): v for v in variants.EXPORTED}
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
