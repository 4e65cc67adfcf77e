"""The SavedModel of every model, loaded by a process that has nothing of ours."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from tests.export.runs import GUARDS, INPUTS, ROWS, STEPS, make_run, trained_run
from tests.models.variants import EXPORTED, fast_then_slow, variant_id
from zoo.errors import UsageError
from zoo.evaluation.subject.subject import Subject
from zoo.export.saved_model import export_saved_model
from zoo.saved_model.signatures import signature_functions
from zoo.state import OPTIMIZER

# The first test that asks for them makes the exports of all models.
pytestmark = pytest.mark.timeout(1200)

# One of each kind in the fast suite: with a density, without an encoder, with an implicit
# posterior, of joint matching.
FAST = ("vae", "dcgan", "adversarial_vb", "veegan")


class Exported(NamedTuple):
    """What was made of one variant, and what other processes got from it."""

    model: Any  # as it was trained
    run: Any
    version: Path
    served: dict  # outputs of the SavedModel, by a process that has TensorFlow alone
    loaded: dict  # state and outputs of the run and of the .keras file, by one that trained none


@pytest.fixture(scope="module")
def exports(request, tmp_path_factory):
    """By name of the variant; of those that a chosen test asks for."""
    chosen = [getattr(item, "callspec", None) for item in request.session.items]
    asked = [spec.params["exported"] for spec in chosen if spec and "exported" in spec.params]
    root = tmp_path_factory.mktemp("export")
    np.savez(root / "inputs.npz", **INPUTS)
    models, runs, versions = {}, {}, {}
    for name, variant in {variant_id(v): v for v in asked}.items():
        runs[name], models[name] = trained_run(root / name / "run", variant)
        models[name].save(root / name / "model.keras")
        versions[name] = export_saved_model(runs[name], root / "served", name)
    here = Path(__file__).parent
    client = ["-I", here / "clean_client.py", root / "inputs.npz", *versions.values()]
    reader = ["-m", "tests.export.clean_reader", root / "inputs.npz", *(root / n for n in runs)]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    subprocess.run([sys.executable, *client], check=True, cwd=root, env=environment)
    subprocess.run([sys.executable, *reader], check=True, cwd=here.parents[1])
    return {
        name: Exported(
            models[name],
            run,
            versions[name],
            dict(np.load(versions[name].parent / "outputs.npz")),
            {kind: dict(np.load(root / name / f"{kind}.npz")) for kind in ("run", "keras")},
        )
        for name, run in runs.items()
    }


@pytest.fixture(params=fast_then_slow(EXPORTED, FAST), ids=variant_id)
def exported(exports, request):
    """Each variant in turn."""
    return exports[variant_id(request.param)]


def test_every_loader_gives_back_what_was_trained(exported):
    functions = signature_functions(exported.model)
    outputs = {
        f"{name}:{key}": values.numpy()
        for name, function in functions.items()
        for key, values in function(*feed_of(function)).items()
    }
    state = {name: variable.numpy() for name, variable in exported.model.state.items()}
    weights = {name for name in state if not name.startswith(OPTIMIZER)}
    assert exported.loaded["run"].keys() == weights | outputs.keys()
    assert exported.loaded["keras"].keys() > state.keys()
    for kind, found in exported.loaded.items():
        for name, values in found.items():
            expected = (state | outputs)[name]
            np.testing.assert_array_equal(values, expected, err_msg=f"{kind} {name}")
    assert {key.split("/")[0] for key in exported.served} == {*functions, "serving_default"}
    for name, values in outputs.items():
        signature, key = name.split(":")
        served = exported.served[f"{signature}/{key}/{ROWS}"]
        assert values.dtype == np.float32 and len(values) == ROWS
        np.testing.assert_array_equal(served, values, err_msg=f"SavedModel {name}")
        if signature == "decode":
            default = exported.served[f"serving_default/{key}/{ROWS}"]
            np.testing.assert_array_equal(default, values)


def feed_of(function):
    return [tf.constant(INPUTS[spec.name]) for spec in function.input_signature]


def test_rows_are_independent_and_any_batch_size_works(exported):
    outputs = exported.served
    for key, values in outputs.items():
        signature, output, rows = key.split("/")
        whole = outputs[f"{signature}/{output}/{ROWS}"]
        np.testing.assert_allclose(values, whole[: int(rows)], rtol=2e-6, atol=2e-6, err_msg=key)


def test_equal_seeds_give_equal_rows(exported):
    if "sample" not in exported.model.available_signatures:
        assert not any(key.startswith("sample/") for key in exported.served)
        return
    images = exported.served[f"sample/images/{ROWS}"]
    np.testing.assert_array_equal(images[2], images[3])
    assert not np.array_equal(images[0], images[1])


def test_weights_are_stored_once(exported):
    reader = tf.train.load_checkpoint(str(exported.version / "variables" / "variables"))
    sizes = [np.prod(shape) for key, shape in reader.get_variable_to_shape_map().items()]
    run = exported.run
    served = {"encoder", "decoder"} & set(run.model.players)
    if "elbo" in run.model.available_signatures and run.model.bound_status == "ratio_estimate":
        served |= {"code_critic", "joint_critic"} & set(run.model.players)
    weights = sum(v.numpy().size for p in served for v in getattr(run.model, p).weights)
    assert sum(sizes) <= weights + 50  # and TensorFlow's own bookkeeping


def test_nothing_is_xla_compiled(exported):
    from tensorflow.core.protobuf import saved_model_pb2

    proto = saved_model_pb2.SavedModel()
    proto.ParseFromString((exported.version / "saved_model.pb").read_bytes())
    functions = proto.meta_graphs[0].graph_def.library.function
    assert functions
    assert not any(f.attr["_XlaMustCompile"].b for f in functions)


def test_model_card(exported):
    card = json.loads((exported.version / "assets" / "model_card.json").read_text())
    assert card["step"] == STEPS
    assert card["bound_status"] == exported.run.model.bound_status
    assert set(card["signatures"]) == set(exported.run.model.available_signatures)
    assert card["signatures"]["decode"]["inputs"] == {"z": {"dtype": "float32", "shape": ["N", 3]}}
    assert card["config"] == exported.run.config.to_json()
    assert "tensorflow" in card["versions"]


def test_warm_up_requests_run(exported):
    file = exported.version / "assets.extra" / "tf_serving_warmup_requests"
    signatures = tf.saved_model.load(str(exported.version)).signatures
    seen = set()
    for raw in tf.data.TFRecordDataset(str(file)):
        request = prediction_log_pb2.PredictionLog.FromString(raw.numpy()).predict_log.request
        assert request.model_spec.name == exported.version.parent.name
        function = signatures[request.model_spec.signature_name]
        function(**{k: tf.constant(tf.make_ndarray(v)) for k, v in request.inputs.items()})
        seen.add(request.model_spec.signature_name)
    assert seen == set(signatures) - {"serving_default"}


def test_subject_of_a_saved_model_measures_the_same(exported):
    subjects = Subject.of_run(exported.run), Subject.of_saved_model(exported.version)
    assert subjects[0].image_shape == subjects[1].image_shape == (28, 28, 3)
    assert subjects[0].latent_size == subjects[1].latent_size == 3
    assert subjects[0].bound_status == subjects[1].bound_status
    assert subjects[0].step == subjects[1].step == STEPS
    draw = {"seed": 1, "count": 4}
    z = np.random.default_rng(1).standard_normal((4, 3), np.float32)
    for signature, inputs in {"sample": draw, "decode": {"z": z}}.items():
        if signature in exported.model.available_signatures:
            one, other = (s.all(signature, **inputs) for s in subjects)
            np.testing.assert_array_equal(one["images"], other["images"])


VAE = {"model": "vae"}


@pytest.fixture(scope="module")
def loaded(exports):
    return tf.saved_model.load(str(exports[variant_id(VAE)].version))


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

    monkeypatch.setattr("zoo.export.saved_model.write_warmup", fail)
    with pytest.raises(UsageError, match="No space left on device"):
        export_saved_model(run, tmp_path / "served", "vae")
    assert not (tmp_path / "served").exists()


def test_a_folder_that_is_no_saved_model(tmp_path):
    with pytest.raises(UsageError, match="is not a SavedModel: it has no saved_model.pb$"):
        Subject.of_saved_model(tmp_path)
    for version in ("2", "10"):
        (tmp_path / "vae" / version).mkdir(parents=True)
        (tmp_path / "vae" / version / "saved_model.pb").touch()
    with pytest.raises(UsageError, match="expected one of its versions, as .*vae/10$"):
        Subject.of_saved_model(tmp_path / "vae")
    module = tf.Module()
    module.f = tf.function(lambda x: x, input_signature=[tf.TensorSpec([None])])
    tf.saved_model.save(module, str(tmp_path / "other"), signatures=module.f)
    with pytest.raises(UsageError, match="has none of the signatures decode"):
        Subject.of_saved_model(tmp_path / "other")
    (tmp_path / "other" / "saved_model.pb").write_bytes(b"not a proto")
    with pytest.raises(UsageError, match="cannot be loaded"):
        Subject.of_saved_model(tmp_path / "other")
