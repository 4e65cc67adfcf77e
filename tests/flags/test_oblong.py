"""Grey images that are not square, from an array on the disk to an export, through the programs."""

import json

import numpy as np
import pytest
import tensorflow as tf

import zoo
from tests.flags.in_process import call

SHAPE = (16, 24, 1)
SETTINGS = ["--model=vae", "--width=0.06", "--latent_size=3", "--batch_size=4", "--log_every=1"]
SETTINGS += ["--strategy=one_device", "--checkpoint_every=2"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """`run`, trained in two starts and evaluated, and `served/grey/1`."""
    folder = tmp_path_factory.mktemp("oblong")
    images = np.random.default_rng(0).integers(0, 256, (60, *SHAPE[:2]), np.uint8)  # no channels
    np.savez(folder / "grey.npz", images=images)
    data = ["--dataset=array", f"--data_dir={folder / 'grey.npz'}"]
    of = f"--run_dir={folder / 'run'}"
    assert call("train", *SETTINGS, *data, of, "--steps=2") == 0
    assert call("train", of, "--steps=4") == 0
    assert call("train", *SETTINGS, *data, f"--run_dir={folder / 'straight'}", "--steps=4") == 0
    assert call("evaluate", of, "--metrics=elbo,marginal_kl", "--num_samples=6") == 0
    assert call("export", of, f"--output={folder / 'served'}", "--name=grey") == 0
    return folder


def test_it_goes_on_as_if_it_had_not_stopped(folder):
    run, straight = (zoo.load_run(folder / name) for name in ("run", "straight"))
    assert run.image_shape == SHAPE and run.config.model.network == "dcgan"
    assert run.model.fingerprint == straight.model.fingerprint
    assert [line["step"] for line in run.history()] == [1, 2, 3, 4]


def test_it_is_measured_and_served(folder):
    records = json.loads((folder / "run/evaluation.json").read_text())["records"]
    assert {"elbo", "marginal_kl"} <= {record["metric"] for record in records}
    run = zoo.load_run(folder / "run")
    served = tf.saved_model.load(str(folder / "served/grey/1")).signatures
    drawn = served["sample"](seed=tf.constant([1, 2]))["images"]
    assert drawn.shape == (2, *SHAPE)
    images = run.dataset.split("test").images[:3].astype(np.float32) / 255
    codes = served["encode"](images=tf.constant(images))["z"]
    np.testing.assert_allclose(codes, run.model.encode(images)["z"], rtol=1e-4, atol=1e-6)


@pytest.mark.clients
def test_its_onnx_gives_the_same_images(folder, tmp_path):
    import onnxruntime

    formats = "--format=saved_model,onnx"
    of = f"--run_dir={folder / 'run'}"
    assert call("export", of, f"--output={tmp_path}", "--name=grey", formats) == 0
    z = np.random.default_rng(1).standard_normal((5, 3)).astype(np.float32)
    file = tmp_path / "grey/1/assets.extra/portable/decode.onnx"
    (images,) = onnxruntime.InferenceSession(str(file)).run(["images"], {"z": z})
    expected = zoo.load_run(folder / "run").model.decode(z)["images"]
    np.testing.assert_allclose(images, expected, rtol=0, atol=1e-5)
