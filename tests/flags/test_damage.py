"""Files that are not what they were or never were ours: one line, exit code 2, nothing changed."""

import json
import shutil

import pytest
import tensorflow as tf

from tests.flags.disks import disk, fill, remount
from tests.flags.in_process import call, contents
from zoo import manifest
from zoo.config import RunConfig
from zoo.errors import UsageError
from zoo.files import write_json
from zoo.run import Run


def refused(capfd, folder, message, name, *arguments):
    """Runs a program that has to refuse, and checks how it does."""
    before = contents(folder)
    assert call(name, *arguments) == 2
    seen = capfd.readouterr()
    assert message in seen.err, seen.err
    assert seen.err.startswith(f"zoo-{name}: ") and seen.err.count("\n") == 1, seen.err
    assert contents(folder) == before


RECORD = {
    "metric": "elbo",
    "value": -1.5,
    "standard_error": 0.25,
    "n": 3,
    "split": "test",
    "step": 2,
    "definition": "a definition",
    "asked": {"metric": "elbo"},
}


@pytest.fixture
def run(tmp_path):
    """A run folder without checkpoints: all that reading its JSON files needs."""
    config = RunConfig.create(width=0.06, latent_size=3, steps=2)
    run = Run.create_or_resume(tmp_path / "run", config, "0" * 16, (28, 28, 3))
    for step in (1, 2):
        run.log({"step": step, "elbo": -1.5})
    write_json(run.path / "evaluation.json", {"records": [RECORD]})
    return run.path


@pytest.fixture
def trained_run(trained, tmp_path):
    return shutil.copytree(trained / "run", tmp_path / "run")


@pytest.fixture
def served(trained, tmp_path):
    return shutil.copytree(trained / "served" / "tiny" / "1", tmp_path / "served")


def with_setting(section, name, value):
    def damage(text):
        content = json.loads(text)
        content[section][name] = value
        return json.dumps(content)

    return damage


def with_entry(name, value):
    return lambda text: json.dumps({**json.loads(text), name: value})


CONFIGS = {
    "truncated": (lambda text: text[: len(text) // 2], "cannot be read as JSON"),
    "empty": (lambda text: "", "cannot be read as JSON"),
    "not UTF-8": (lambda text: b"\xff\xfe{}", "cannot be read as JSON"),
    "too deep": (lambda text: "[" * 100_000, "cannot be read as JSON"),
    "endless number": (lambda text: '{"model": ' + "9" * 5000 + "}", "cannot be read as JSON"),
    "a list": (lambda text: "[1]", "is not the config of a run"),
    "null": (lambda text: "null", "is not the config of a run"),
    "a section missing": (lambda text: '{"model": {}}', "is not the config of a run"),
    "a section as a list": (with_entry("training", [1]), "is not the config of a run"),
    "unknown field": (with_setting("model", "depth", 3), "unknown setting depth=3"),
    "text for a number": (with_setting("model", "latent_size", "3"), "latent_size='3' is not"),
    "fraction for a number": (with_setting("training", "steps", 1.5), "steps=1.5 is not"),
    "nothing for a number": (with_setting("training", "seed", None), "seed=None is not"),
    "number for a truth": (with_setting("training", "jit_compile", 1), "jit_compile=1 is not"),
    "list of rates": (with_setting("training", "learning_rate", [1]), "learning_rate=[1] is not"),
    "number for a name": (with_setting("model", "model", 3), "model=3 is not accepted"),
    "unknown choice": (with_setting("training", "strategy", "magic"), "strategy='magic' is not"),
    "NaN": (with_setting("model", "width", float("nan")), "NaN is not a finite number"),
    "infinite": (lambda text: text.replace("0.06", "1e999"), "1e999 is not a finite number"),
    "huge": (with_setting("training", "batch_size", 10**400), "is a number of more than 64 bits"),
    "shape as text": (with_entry("image_shape", "abc"), "image_shape='abc'"),
    "short shape": (with_entry("image_shape", [28, 28]), "image_shape=[28, 28]"),
    "fingerprint": (with_entry("data_fingerprint", 5), "data_fingerprint=5"),
}


def write(file, content):
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        file.write_text(content)


@pytest.mark.parametrize(("damage", "message"), CONFIGS.values(), ids=CONFIGS)
def test_config(run, capfd, damage, message):
    file = run / "config.json"
    write(file, damage(file.read_text()))
    refused(capfd, run, message, "report", f"--run_dir={run}")


CONFIGS_OF_OTHERS = {
    "unknown model": (with_setting("model", "model", "resnet"), "model='resnet' is not known"),
    "foreign option": (with_setting("model", "critic_updates", 2), "critic_updates"),
    "other latents": (with_setting("model", "latent_size", 4), "is of another model"),
    "other shape": (
        with_entry("image_shape", [30, 30, 3]),
        "no networks of color_mnist for images",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(("damage", "message"), CONFIGS_OF_OTHERS.values(), ids=CONFIGS_OF_OTHERS)
def test_config_that_does_not_fit(trained_run, tmp_path, capfd, damage, message):
    file = trained_run / "config.json"
    write(file, damage(file.read_text()))
    arguments = [f"--run_dir={trained_run}", f"--output={tmp_path / 'a.png'}"]
    refused(capfd, tmp_path, message, "sample", *arguments)


METRICS = [b"garbage\n", b"[1]\n", b'{"elbo": 1}\n', b"\0\0\0\n", b'{"step": "x"}\n', b"\xff\n"]
METRICS += [b'{"step": 1, "elbo": NaN}\n', b'{"step": 1, "elbo": [2]}\n', b"[" * 100_000 + b"\n"]


@pytest.mark.parametrize("line", METRICS, ids=lambda line: str(line[:24]))
def test_metrics(run, capfd, line):
    file = run / "metrics.jsonl"
    file.write_bytes(file.read_bytes() + line)
    refused(capfd, run, "metrics.jsonl is damaged: line 3", "report", f"--run_dir={run}")


def test_a_line_of_metrics_cut_short_is_left_out(run, capfd):
    file = run / "metrics.jsonl"
    file.write_bytes(file.read_bytes()[:-5])
    assert call("report", f"--run_dir={run}") == 0
    assert "step 1 of 2" in (run / "report.html").read_text()


EVALUATIONS = ["[]", '{"records": 5}', '{"records": [5]}', '{"records": [{}]}', "{", "\0"]
EVALUATIONS += ['{"records": [], "pictures": 3}', '{"records": [], "pictures": [{"file": 1}]}']


@pytest.mark.parametrize("content", EVALUATIONS)
def test_evaluation(run, capfd, content):
    (run / "evaluation.json").write_text(content)
    refused(capfd, run, "evaluation.json", "report", f"--run_dir={run}")


@pytest.mark.parametrize("field", ["value", "standard_error", "n", "metric", "asked", "definition"])
def test_a_record_of_an_evaluation(run, capfd, field):
    content = json.loads((run / "evaluation.json").read_text())
    content["records"][0][field] = ["odd"]
    (run / "evaluation.json").write_text(json.dumps(content))
    refused(capfd, run, "evaluation.json is damaged", "report", f"--run_dir={run}")


@pytest.mark.slow
def test_evaluating_onto_a_damaged_evaluation(trained_run, capfd):
    (trained_run / "evaluation.json").write_text('{"records": [{"metric": "elbo"}]}')
    before = contents(trained_run)
    assert call("evaluate", f"--run_dir={trained_run}", "--metrics=elbo", "--num_samples=4") == 2
    assert "evaluation.json is damaged" in capfd.readouterr().err
    assert contents(trained_run) == before


@pytest.mark.slow
@pytest.mark.parametrize("content", [b"PK\x03\x04garbage", "half"])
def test_encodings_are_made_again(trained_run, capfd, content):
    file = trained_run / "encodings.npz"
    arguments = ["evaluate", f"--run_dir={trained_run}", "--metrics=marginal_kl", "--num_samples=9"]
    if content == "half":
        assert call(*arguments, f"--output={trained_run / 'first.json'}") == 0
        content = file.read_bytes()[: file.stat().st_size // 2]
    file.write_bytes(content)
    assert call(*arguments) == 0
    assert file.stat().st_size > 4500 * 2 * 3 * 4


def flip(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0x10
    file.write_bytes(content)


def truncate(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("variables/variables.data-00000-of-00001", truncate),
        ("variables/variables.data-00000-of-00001", flip),
        ("variables/variables.index", truncate),
        ("variables/variables.index", lambda file: file.unlink()),
        ("saved_model.pb", truncate),
        ("saved_model.pb", lambda file: file.write_bytes(b"")),
        ("saved_model.pb", lambda file: file.write_bytes(b"garbage")),
    ],
)
def test_saved_model(served, tmp_path, capfd, name, damage):
    """Its manifest names the file; without one, TensorFlow's own checks are what is left."""
    damage(served / name)
    arguments = ["sample", f"--saved_model={served}", f"--output={tmp_path / 'a.npz'}"]
    refused(capfd, tmp_path, f"is damaged: {name}", *arguments)
    (served / manifest.NAME).unlink()
    refused(capfd, tmp_path, "cannot be loaded as a SavedModel", *arguments, "--trust")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("card", "message"),
    [
        ("{", "cannot be read as JSON"),
        ("[1]", "is not a model card"),
        ('{"bound_status": 3}', "bound_status=3: expected one of exact"),
        ('{"bound_status": "exact", "step": "many"}', "step='many': expected a whole number"),
        ('{"step": NaN}', "NaN is not a finite number"),
    ],
)
def test_model_card(served, tmp_path, capfd, card, message):
    (served / "assets" / "model_card.json").write_text(card)
    manifest.write_manifest(served)
    output = f"--output={tmp_path / 'a.npz'}"
    refused(capfd, tmp_path, message, "sample", f"--saved_model={served}", output)


def alien(kind):
    """A SavedModel that is none of ours."""
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, name="codes")])
    def other(codes):
        return {"images": codes}

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, name="z")])
    def decode(z):
        return {"pixels": z}

    signatures = {
        "none": None,
        "others": {"classify": other},
        "inputs": {"decode": other},
        "outputs": {"decode": decode},
    }
    return module, signatures[kind]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("none", "has none of the signatures decode"),
        ("others", "has none of the signatures decode"),
        ("inputs", "takes codes of 2 dimensions; expected z of 2"),
        ("outputs", "gives pixels; expected images"),
    ],
)
def test_a_saved_model_that_is_not_ours(tmp_path, capfd, kind, message):
    module, signatures = alien(kind)
    tf.saved_model.save(module, str(tmp_path / "alien"), signatures=signatures)
    capfd.readouterr()
    output = f"--output={tmp_path / 'a.npz'}"
    refused(capfd, tmp_path, message, "sample", f"--saved_model={tmp_path / 'alien'}", output)


PLACES = [
    ("{run}/config.json", "is not a run folder"),
    ("{run}/none", "is not a run folder"),
    ("x" * 300, "is not a run folder"),
    ("", "run_dir='' is not accepted"),
    ("a[b]", "with '[' in it"),
    ("a\udcffb", "is not accepted"),
]


@pytest.mark.parametrize(("place", "message"), PLACES, ids=lambda text: repr(text[:24]))
def test_a_place_that_is_no_run(run, capfd, place, message):
    refused(capfd, run, message, "report", f"--run_dir={place.format(run=run)}")


NEW_PLACES = [
    ("{run}/config.json", "is a file"),
    ("{run}/config.json/run", "cannot write"),
    ("/proc/run", "cannot write /proc/run"),
    ("x" * 300, "File name too long"),
    ("a\\b", "with '\\\\' in it"),
]


@pytest.mark.parametrize(("place", "message"), NEW_PLACES, ids=lambda text: text[:24])
def test_a_place_that_cannot_become_a_run(run, capfd, place, message):
    arguments = ["--steps=2", "--strategy=one_device", f"--run_dir={place.format(run=run)}"]
    refused(capfd, run, message, "train", *arguments)


@pytest.mark.slow
def test_read_only(trained, tmp_path, capfd):
    """What has to be written is told before the work; what may only be read is measured."""
    with disk(tmp_path / "disk", "20m") as folder:
        run = shutil.copytree(trained / "run", folder / "run")
        remount(folder, "ro")
        config = json.loads((run / "config.json").read_text())
        same = ["--steps=3", *(f"--{k}={config['model'][k]}" for k in ("width", "latent_size"))]
        same += ["--batch_size=8", "--strategy=one_device"]
        for name, *arguments in (
            ("train", *same, f"--run_dir={run}"),
            ("train", *same, f"--run_dir={folder / 'new' / 'run'}"),
            ("evaluate", f"--run_dir={run}"),
            ("report", f"--run_dir={run}"),
            ("export", f"--run_dir={run}", f"--output={folder / 'served'}", "--name=a"),
            ("sample", f"--run_dir={run}", f"--output={folder / 'a.png'}"),
        ):
            refused(capfd, folder, "cannot write", name, *arguments)
        measured = tmp_path / "elsewhere.json"
        arguments = ["--metrics=marginal_kl", "--num_samples=9", f"--output={measured}"]
        assert call("evaluate", f"--run_dir={run}", *arguments) == 0
        assert json.loads(measured.read_text())["records"]


def test_no_space_for_a_line_of_metrics(run):
    (run / "metrics.jsonl").unlink()
    (run / "metrics.jsonl").symlink_to("/dev/full")
    with pytest.raises(UsageError, match="cannot write .*metrics.jsonl: No space left"):
        Run.open(run).log({"step": 3})


@pytest.mark.slow
def test_full_disk(trained, tmp_path, capfd):
    """One line, nothing half written, and the same command succeeds when there is space."""
    with disk(tmp_path / "disk", "20m") as folder:
        run = shutil.copytree(trained / "run", folder / "run")
        commands = {
            "evaluate": (f"--run_dir={run}", "--metrics=elbo", "--num_samples=5"),
            "report": (f"--run_dir={run}",),
            "sample": (f"--run_dir={run}", f"--output={folder / 'samples' / 'a.npz'}"),
            "export": (f"--run_dir={run}", f"--output={folder / 'served'}", "--name=a"),
        }
        for name, arguments in commands.items():
            fill(folder)
            before = contents(folder)
            capfd.readouterr()
            assert call(name, *arguments) == 2, name
            error = capfd.readouterr().err
            assert error.startswith(f"zoo-{name}: cannot write"), error
            assert "No space left" in error and error.count("\n") == 1, error
            assert contents(folder) == before
            (folder / ".ballast").unlink()
            assert call(name, *arguments) == 0, name
