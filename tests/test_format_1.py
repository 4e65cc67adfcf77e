"""Runs as the zoo wrote them before its formats had numbers: `format_1/vae` is one, of 6 steps."""

import shutil
from pathlib import Path

import pytest
import tensorflow as tf

import zoo
from tests.models.training import trained
from tests.models.variants import tiny_model
from zoo.checkpoints import CheckpointStore
from zoo.config import EvaluationConfig
from zoo.errors import UsageError
from zoo.evaluation.likelihood.elbo import Elbo
from zoo.evaluation.subject.subject import Subject

RUN = Path(__file__).parent / "format_1" / "vae"


@pytest.fixture
def folder(tmp_path):
    return Path(shutil.copytree(RUN, tmp_path / "vae"))


def test_a_run_measures_what_it_measured_then(folder):
    run = zoo.load_run(folder)
    then = {record["metric"]: record["value"] for record in run.evaluation()["records"]}
    record = next(Elbo().measure(Subject.of_run(run), run.dataset, EvaluationConfig()))
    assert record.value == pytest.approx(then["elbo"], rel=1e-5)


def test_a_run_goes_on(folder):
    run = zoo.train(folder, **{**zoo.load_run(folder).config.flat(), "steps": 9})
    assert int(run.model.step.numpy()) == 9
    assert [line["step"] for line in run.history()] == [3, 6, 9]


def write(model, folder):
    """A checkpoint as `CheckpointStore.save` of format 1 wrote it."""
    parts = {player: getattr(model, player) for player in model.players}
    parts |= {f"{p}_optimizer": optimizer for p, optimizer in model.optimizers.items()}
    path = folder / f"step-{int(model.step.numpy()):08d}"
    path.mkdir()
    tf.train.Checkpoint(step=model.step, **parts).write(str(path / "state"))
    return path


FLOW = {"model": "vae", "posterior": "real_nvp"}


def test_a_flow_is_recovered_from_the_optimiser(tmp_path):
    model = trained(FLOW)
    write(model, tmp_path)
    for compile_first in (False, True):
        other = tiny_model(FLOW)
        if compile_first:
            other.compile()
        assert CheckpointStore(tmp_path).restore(other) == 3
        assert other.fingerprint == model.fingerprint
        assert set(other.optimizers) == set(other.players if compile_first else ())


def test_damage_is_told(tmp_path):
    file = write(trained({"model": "vae"}), tmp_path) / "state.data-00000-of-00001"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(UsageError, match="all 1 are damaged"):
        CheckpointStore(tmp_path).restore(tiny_model({"model": "vae"}))
