from pathlib import Path

import numpy as np
import pytest

from tests.models.variants import tiny_model
from zoo.checkpoints import KEEP, CheckpointStore
from zoo.errors import UsageError


@pytest.fixture
def model():
    model = tiny_model({"model": "vae"})
    model.compile()
    return model


def save(store, model, *steps):
    for step in steps:
        model.step.assign(step)
        for variable in model.decoder.trainable_variables:
            variable.assign(np.full(variable.shape, step, np.float32))
        store.save(model)


def decoder_value(model):
    return {float(v.numpy().flat[0]) for v in model.decoder.trainable_variables}


def test_keeps_the_newest(tmp_path, model):
    store = CheckpointStore(tmp_path / "c")
    save(store, model, *range(1, KEEP + 4))
    assert store.steps() == list(range(4, KEEP + 4))
    assert store.restore(model) == KEEP + 3


def test_empty_store(tmp_path, model):
    assert CheckpointStore(tmp_path / "none").restore(model) == 0


def damage_truncate(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def damage_flip(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0x10
    file.write_bytes(content)


def damage_header(file):
    content = file.read_bytes()
    file.write_bytes(content.replace(b"'shape': (", b"'shape': {", 1))


DAMAGES = [damage_truncate, damage_flip, damage_header, Path.unlink]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_newest_falls_back(tmp_path, model, damage, caplog):
    store = CheckpointStore(tmp_path)
    save(store, model, 10, 20)
    damage(tmp_path / "step-00000020" / "state.npz")
    model.step.assign(0)
    assert store.restore(model) == 10
    assert int(model.step.numpy()) == 10 and decoder_value(model) == {10.0}
    assert "step-00000020 is damaged" in caplog.text


def test_no_flipped_bit_goes_unseen(tmp_path, model):
    store = CheckpointStore(tmp_path)
    save(store, model, 10)
    expected, file = model.fingerprint, tmp_path / "step-00000010" / "state.npz"
    sound = file.read_bytes()
    unseen = 0
    for place in np.random.default_rng(0).integers(len(sound), size=300):
        content = bytearray(sound)
        content[place] ^= 1 << (place % 8)
        file.write_bytes(content)
        for variable in model.decoder.trainable_variables:
            variable.assign(variable * 0)
        try:
            store.restore(model)
        except UsageError:
            continue
        unseen += 1  # a time stamp, say
        assert model.fingerprint == expected
    assert unseen < 150


def test_all_damaged_is_an_error(tmp_path, model):
    store = CheckpointStore(tmp_path)
    save(store, model, 10, 20)
    for file in tmp_path.glob("*/state.npz"):
        damage_truncate(file)
    with pytest.raises(UsageError, match="all 2 are damaged"):
        store.restore(model)


def test_a_killed_writer_leaves_nothing_that_counts(tmp_path, model):
    store = CheckpointStore(tmp_path)
    save(store, model, 10)
    (tmp_path / ".partial-abc").mkdir()
    assert store.steps() == [10]
    save(store, model, 20)
    assert not (tmp_path / ".partial-abc").exists()


def test_optimisers_are_restored(tmp_path, model):
    optimizer = model.optimizers["encoder"]
    slot = optimizer.variables[-1]
    slot.assign(np.full(slot.shape, 7.0))
    store = CheckpointStore(tmp_path)
    save(store, model, 1)
    slot.assign(np.zeros(slot.shape))
    store.restore(model)
    assert (slot.numpy() == 7).all()
