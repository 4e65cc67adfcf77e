"""The SavedModel of every model, loaded by a process that has nothing of ours."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from export.saved_model import export_saved_model
from tests.export.runs import GUARDS, INPUTS, ROWS, make_run
from tests.models.variants import VARIANTS, variant_id
from zoo.errors import UsageError
from zoo.evaluation.subjects import Subject
from zoo.signatures import signature_functions


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """For each variant: its run, its version folder, and what the clean process got from it."""
    root = tmp_path_factory.mktemp("export")
    runs, folders = {}, {}
    for variant in VARIANTS:
        name = variant_id(variant)
        runs[name] = make_run(root / "runs" / name, variant)
        folders[name] = export_saved_model(runs[name], root / "served", name)
    np.savez(root / "inputs.npz", **INPUTS)
    client = os.path.join(os.path.dirname(__file__), "clean_client.py")
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    subprocess.run(
        [sys.executable, "-I", client, root / "inputs.npz", *folders.values()],
        check=True,
        cwd=root,
        env=environment,
    )
    outputs = {name: dict(np.load(f.parent / "outputs.npz")) for name, f in folders.items()}
    return runs, folders, outputs


every_variant = pytest.mark.parametrize("name", [variant_id(v) for v in VARIANTS])


@every_variant
def test_clean_process_gives_the_same_results(exported, name):
    runs, _, outputs = exported
    functions = signature_functions(runs[name].model)
    functions["serving_default"] = functions["decode"]
    assert {key.split("/")[0] for key in outputs[name]} == set(functions)
    for signature, function in functions.items():
        spec = function.get_concrete_function().structured_input_signature[0]
        feed = [tf.constant(INPUTS[s.name]) for s in spec]
        for key, values in function(*feed).items():
            seen = outputs[name][f"{signature}/{key}/{ROWS}"]
            assert values.dtype == tf.float32 and len(values) == ROWS
            np.testing.assert_array_equal(values, seen, err_msg=f"{signature} {key}")


@every_variant
def test_rows_are_independent_and_any_batch_size_works(exported, name):
    _, _, outputs = exported
    for key, values in outputs[name].items():
        signature, output, rows = key.split("/")
        whole = outputs[name][f"{signature}/{output}/{ROWS}"]
        np.testing.assert_allclose(values, whole[: int(rows)], rtol=2e-6, atol=2e-6, err_msg=key)


@every_variant
def test_equal_seeds_give_equal_rows(exported, name):
    images = outputs_of(exported, name, "sample/images")
    np.testing.assert_array_equal(images[2], images[3])
    assert not np.array_equal(images[0], images[1])


def outputs_of(exported, name, key):
    return exported[2][name][f"{key}/{ROWS}"]


@every_variant
def test_weights_are_stored_once(exported, name):
    _, folders, _ = exported
    reader = tf.train.load_checkpoint(str(folders[name] / "variables" / "variables"))
    sizes = [np.prod(shape) for key, shape in reader.get_variable_to_shape_map().items()]
    run = exported[0][name]
    served = {"encoder", "decoder"} & set(run.model.players)
    if "elbo" in run.model.available_signatures and run.model.bound_status == "ratio_estimate":
        served |= {"code_critic", "joint_critic"} & set(run.model.players)
    weights = sum(v.numpy().size for p in served for v in getattr(run.model, p).weights)
    assert sum(sizes) <= weights + 50  # and TensorFlow's own bookkeeping


@every_variant
def test_nothing_is_xla_compiled(exported, name):
    _, folders, _ = exported
    from tensorflow.core.protobuf import saved_model_pb2

    proto = saved_model_pb2.SavedModel()
    proto.ParseFromString((folders[name] / "saved_model.pb").read_bytes())
    functions = proto.meta_graphs[0].graph_def.library.function
    assert functions
    assert not any(f.attr["_XlaMustCompile"].b for f in functions)


@every_variant
def test_model_card(exported, name):
    runs, folders, _ = exported
    card = json.loads((folders[name] / "assets" / "model_card.json").read_text())
    assert card["step"] == 7
    assert card["bound_status"] == runs[name].model.bound_status
    assert set(card["signatures"]) == set(runs[name].model.available_signatures)
    assert card["signatures"]["decode"]["inputs"] == {"z": {"dtype": "float32", "shape": ["N", 3]}}
    assert card["config"] == runs[name].config.to_json()
    assert "tensorflow" in card["versions"]


@every_variant
def test_warm_up_requests_run(exported, name):
    _, folders, _ = exported
    file = folders[name] / "assets.extra" / "tf_serving_warmup_requests"
    signatures = tf.saved_model.load(str(folders[name])).signatures
    seen = set()
    for raw in tf.data.TFRecordDataset(str(file)):
        request = prediction_log_pb2.PredictionLog.FromString(raw.numpy()).predict_log.request
        assert request.model_spec.name == name
        function = signatures[request.model_spec.signature_name]
        function(**{k: tf.constant(tf.make_ndarray(v)) for k, v in request.inputs.items()})
        seen.add(request.model_spec.signature_name)
    assert seen == set(signatures) - {"serving_default"}


@every_variant
def test_subject_of_a_saved_model_measures_the_same(exported, name):
    runs, folders, _ = exported
    subjects = Subject.of_run(runs[name]), Subject.of_saved_model(folders[name])
    assert subjects[0].image_shape == subjects[1].image_shape == (28, 28, 3)
    assert subjects[0].latent_size == subjects[1].latent_size == 3
    assert subjects[0].bound_status == subjects[1].bound_status
    assert subjects[0].step == subjects[1].step == 7
    one, other = (s.all("sample", seed=1, count=4) for s in subjects)
    np.testing.assert_array_equal(one["images"], other["images"])


VAE = {"model": "vae"}


@pytest.fixture(scope="module")
def loaded(exported):
    return tf.saved_model.load(str(exported[1][variant_id(VAE)]))


@pytest.mark.parametrize("case", GUARDS)
def test_guards_in_the_graph(loaded, case):
    signature, feed, message = GUARDS[case]
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        loaded.signatures[signature](**{name: tf.constant(value) for name, value in feed.items()})


def test_versions_follow_and_are_never_overwritten(tmp_path):
    run = make_run(tmp_path / "run", VAE)
    first = export_saved_model(run, tmp_path / "served", "vae")
    assert first.name == "1"
    before = {f: f.stat().st_mtime_ns for f in first.rglob("*")}
    assert export_saved_model(run, tmp_path / "served", "vae").name == "2"
    assert export_saved_model(run, tmp_path / "served", "vae", version=9).name == "9"
    assert export_saved_model(run, tmp_path / "served", "vae").name == "10"
    with pytest.raises(UsageError, match="exists already.*as 11"):
        export_saved_model(run, tmp_path / "served", "vae", version=1)
    assert {f: f.stat().st_mtime_ns for f in first.rglob("*")} == before


def test_a_failed_export_leaves_nothing(tmp_path, monkeypatch):
    run = make_run(tmp_path / "run", VAE)

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("export.saved_model.write_warmup", fail)
    with pytest.raises(UsageError, match="No space left on device"):
        export_saved_model(run, tmp_path / "served", "vae")
    assert not (tmp_path / "served").exists()


def test_a_folder_that_is_no_saved_model(tmp_path):
    with pytest.raises(UsageError, match="is not a SavedModel"):
        Subject.of_saved_model(tmp_path)
    module = tf.Module()
    module.f = tf.function(lambda x: x, input_signature=[tf.TensorSpec([None])])
    tf.saved_model.save(module, str(tmp_path / "other"), signatures=module.f)
    with pytest.raises(UsageError, match="has none of the signatures decode"):
        Subject.of_saved_model(tmp_path / "other")
    (tmp_path / "other" / "saved_model.pb").write_bytes(b"not a proto")
    with pytest.raises(UsageError, match="cannot be loaded"):
        Subject.of_saved_model(tmp_path / "other")
