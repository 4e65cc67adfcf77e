"""Exports that somebody sent: damaged ones are told, and those that reach out are refused."""

import shutil

import numpy as np
import pytest
import tensorflow as tf

from tests.export.runs import make_run
from tests.flags.in_process import call
from zoo.errors import UsageError
from zoo.evaluation.subject.subject import Subject
from zoo.export.saved_model import export_saved_model
from zoo.manifest import NAME, check_manifest
from zoo.saved_model.graph import refuse_reaching_out


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    root = tmp_path_factory.mktemp("trust")
    return export_saved_model(make_run(root / "run", {"model": "vae"}), root / "served", "vae")


@pytest.fixture
def copy(version, tmp_path):
    return shutil.copytree(version, tmp_path / "copy")


def files(folder):
    return sorted(f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file())


def test_every_file_of_an_export_is_listed(version):
    assert check_manifest(version)
    assert "saved_model.pb" in files(version) and "assets/model_card.json" in files(version)
    for name in files(version):
        assert name == NAME or name in (version / NAME).read_text()


def test_damage_to_any_file_is_told(copy):
    for name in files(copy):
        file = copy / name
        sound = file.read_bytes()
        rng = np.random.default_rng(len(sound))
        for place in rng.integers(len(sound), size=5):
            altered = bytearray(sound)
            altered[place] ^= 1 << (place % 8)
            file.write_bytes(altered)
            with pytest.raises(UsageError, match="damaged|not a manifest|as JSON"):
                check_manifest(copy)
        file.write_bytes(sound)
    (copy / "variables" / "variables.index").unlink()
    with pytest.raises(UsageError, match=r"variables/variables.index, of its manifest, is no file"):
        Subject.of_saved_model(copy)


def test_a_manifest_names_nothing_outside(copy):
    (copy / NAME).write_text('{"sha256": {"../../etc/passwd": "0"}}')
    with pytest.raises(UsageError, match="is no file in it"):
        check_manifest(copy)


def test_a_damaged_export_is_one_line_of_the_program(copy, tmp_path, capsys):
    with (copy / "saved_model.pb").open("r+b") as file:
        file.seek(500)
        file.write(b"\x00")
    output = tmp_path / "samples.npz"
    assert call("sample", f"--saved_model={copy}", f"--output={output}") == 2
    assert "saved_model.pb is not what its manifest says" in capsys.readouterr().err
    assert not output.exists()


class Sampler(tf.Module):
    """A model of somebody else's, which does something beside drawing."""

    def __init__(self, beside):
        super().__init__()
        self.beside = beside

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32, name="seed")])
    def sample(self, seed):
        with tf.control_dependencies([self.beside()]):
            z = tf.zeros([tf.shape(seed)[0], 2])
        return {"images": tf.zeros([tf.shape(seed)[0], 28, 28, 3]), "z": z}


def nested(operation):
    """Inside a branch inside a function."""
    inner = tf.function(lambda: tf.cond(tf.constant(True), operation, lambda: tf.constant("")))
    return lambda: inner()


def writing(path):
    def write():
        tf.raw_ops.WriteFile(filename=str(path), contents="was here")
        return tf.constant("")

    return write


@pytest.fixture
def target(tmp_path):
    return tmp_path / "written"


@pytest.mark.parametrize("wrap", [lambda operation: operation, nested], ids=["plain", "nested"])
@pytest.mark.parametrize("kind", ["write", "read", "python"])
def test_operations_that_reach_out_are_refused_unless_trusted(tmp_path, target, wrap, kind):
    operations = {
        "write": writing(target),
        "read": lambda: tf.io.read_file("/etc/hostname"),
        "python": lambda: tf.py_function(lambda: tf.constant(""), [], tf.string),
    }
    folder = tmp_path / "model"
    model = Sampler(wrap(operations[kind]))
    tf.saved_model.save(model, str(folder), signatures={"sample": model.sample})
    for source in (folder, str(folder)):
        with pytest.raises(UsageError, match=r"which reach files, Python or the network.*--trust"):
            Subject.of_saved_model(source)
    assert not target.exists()
    if kind != "python":
        subject = Subject.of_saved_model(folder, trust=True)
        assert subject.all("sample", seed=0, count=2)["images"].shape == (2, 28, 28, 3)
        assert target.exists() == (kind == "write")


def test_the_programs_ask_for_trust(tmp_path, target, capsys):
    folder, output = tmp_path / "model", tmp_path / "samples.npz"
    model = Sampler(writing(target))
    tf.saved_model.save(model, str(folder), signatures={"sample": model.sample})
    arguments = ("sample", f"--saved_model={folder}", f"--output={output}", "--num_samples=2")
    assert call(*arguments) == 2
    assert "WriteFile" in capsys.readouterr().err and not target.exists()
    assert call(*arguments, "--trust") == 0
    assert target.read_text() == "was here"


def test_what_reaches_out_while_it_is_loaded_is_seen(tmp_path):
    """A table that is filled from a file when the model is loaded."""
    words = tmp_path / "words.txt"
    words.write_text("a\nb\n")
    table = tf.lookup.StaticHashTable(
        tf.lookup.TextFileInitializer(
            *(str(words), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE),
            *(tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER),
        ),
        -1,
    )
    model = Sampler(lambda: tf.cast(table.lookup(tf.constant("a")), tf.int32))
    model.table = table
    tf.saved_model.save(model, str(tmp_path / "model"), signatures={"sample": model.sample})
    with pytest.raises(UsageError, match="InitializeTableFromTextFile"):
        refuse_reaching_out(tmp_path / "model")


def test_ordinary_models_pass(version):
    refuse_reaching_out(version)
