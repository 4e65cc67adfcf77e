"""The SavedModel through TensorFlow's own runtimes: saved_model_cli, and C without Python."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.clients.conftest import EXPORTED, VAE
from tests.export.runs import GUARDS, INPUTS, ROWS
from zoo.saved_model.contract import SIGNATURES

pytestmark = pytest.mark.clients

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "examples" / "c" / "run_signature.c"
QUIET = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}

# The console script itself, again and again in one process: most of a call is the import.
DRIVER = """
import contextlib, runpy, sys
script, lines = sys.argv[1], sys.stdin.read().splitlines()
for line in lines:
    sys.argv = [script, *line.split("\\t")]
    with contextlib.suppress(SystemExit):
        runpy.run_path(script, run_name="__main__")
    print("end of", line.split("\\t")[0], flush=True)
"""


@pytest.fixture(scope="module")
def expected(export):
    """Every output of every signature in Python, by variant."""
    results = {}
    for name in EXPORTED:
        signatures = tf.saved_model.load(str(export(name))).signatures
        results[name] = {
            signature: function(
                **{k: tf.constant(INPUTS[k]) for k in function.structured_input_signature[1]}
            )
            for signature, function in signatures.items()
        }
    return results


def inputs_of(signature):
    return SIGNATURES["decode" if signature == "serving_default" else signature].inputs


@pytest.fixture(scope="module")
def cli(export, expected, tmp_path_factory):
    """What `saved_model_cli show` said of every variant, and where `run` wrote its outputs."""
    root = tmp_path_factory.mktemp("cli")
    for name, values in INPUTS.items():
        np.save(root / f"{name}.npy", values)
    lines = []
    for name in EXPORTED:
        lines.append(["show", "--dir", str(export(name)), "--all"])
        for signature in expected[name]:
            given = ";".join(f"{key}={root / key}.npy" for key in inputs_of(signature))
            which = ["--tag_set", "serve", "--signature_def", signature]
            out = ["--outdir", str(root / name / signature)]
            lines.append(["run", "--dir", str(export(name)), *which, "--inputs", given, *out])
    script = Path(sys.executable).with_name("saved_model_cli")
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, script],
        input="\n".join("\t".join(line) for line in lines),
        capture_output=True,
        text=True,
        check=True,
        env=QUIET,
    )
    shown = done.stdout.split("end of show\n")[:-1]
    assert len(shown) == len(EXPORTED), done.stderr
    return dict(zip(EXPORTED, shown, strict=True)), root


@pytest.mark.parametrize("name", EXPORTED)
def test_saved_model_cli_shows_every_signature(cli, expected, name):
    text = cli[0][name]
    shown = re.findall(
        r"signature_def\['(\w+)'\]:\n(.*?)(?=signature_def\[|Concrete|\Z)", text, re.S
    )
    bodies = dict(shown)
    assert set(expected[name]) <= set(bodies)
    for signature, outputs in expected[name].items():
        for key in (*inputs_of(signature), *outputs):
            assert f"['{key}'] tensor_info" in bodies[signature]
        assert "tensorflow/serving/predict" in bodies[signature]


@pytest.mark.parametrize("name", EXPORTED)
def test_saved_model_cli_runs_every_signature(cli, expected, name):
    for signature, outputs in expected[name].items():
        for key, values in outputs.items():
            seen = np.load(cli[1] / name / signature / f"{key}.npy")
            np.testing.assert_array_equal(seen, values, err_msg=f"{signature} {key}")


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The C example, built against the headers and libraries of the wheel."""
    binary = tmp_path_factory.mktemp("c") / "run_signature"
    libraries = tf.sysconfig.get_lib()
    subprocess.run(
        [
            *("gcc", "-O1", "-Wall", "-Wextra", "-Werror", SOURCE, "-o", binary),
            *(f"-I{tf.sysconfig.get_include()}", f"-L{libraries}", f"-Wl,-rpath,{libraries}"),
            *("-l:libtensorflow_cc.so.2", "-l:libtensorflow_framework.so.2"),
        ],
        check=True,
    )
    return binary


def request(version, signature, folder, feed):
    """The arguments of one request, its files written into `folder`."""
    folder.mkdir(parents=True)
    arguments = [version, signature, folder]
    for key, values in feed.items():
        values.tofile(folder / f"{key}.in")
        arguments.append(f"{key}={'x'.join(map(str, values.shape))}:{folder / key}.in")
    return [*arguments, "--"]


@pytest.fixture(scope="module")
def from_c(program, export, expected, tmp_path_factory):
    """Outputs of every signature of every variant, from one process without Python."""
    root = tmp_path_factory.mktemp("from_c")
    requests = [
        request(export(name), signature, root / name / signature, {k: INPUTS[k] for k in keys})
        for name in EXPORTED
        for signature in expected[name]
        for keys in [inputs_of(signature)]
    ]
    done = subprocess.run(
        [program, *sum(requests, [])], capture_output=True, text=True, env=QUIET, check=False
    )
    assert done.returncode == 0, done.stderr
    return root, done.stdout


@pytest.mark.parametrize("name", EXPORTED)
def test_c_gives_the_same_bits(from_c, expected, name):
    root, printed = from_c
    for signature, outputs in expected[name].items():
        for key, values in outputs.items():
            file = root / name / signature / f"{key}.raw"
            shape = "x".join(map(str, values.shape))
            assert f"{key}={shape}:{file}\n" in printed
            seen = np.fromfile(file, np.float32).reshape(values.shape)
            np.testing.assert_array_equal(seen, values, err_msg=f"{signature} {key}")
            assert len(seen) == ROWS


def test_guards_speak_through_c(program, export, tmp_path):
    requests = [
        request(export(VAE), signature, tmp_path / str(i), feed)
        for i, (signature, feed, _) in enumerate(GUARDS.values())
    ]
    fine = request(export(VAE), "decode", tmp_path / "fine", {"z": INPUTS["z"]})
    done = subprocess.run(
        [program, *sum(requests, fine)], capture_output=True, text=True, env=QUIET, check=False
    )
    assert done.returncode == len(GUARDS)
    # A failure is told as "MODEL SIGNATURE: reason", over several lines.
    reasons = done.stderr.split(f"{export(VAE)} ")[1:]
    for reason, (signature, _, message) in zip(reasons, GUARDS.values(), strict=True):
        assert reason.startswith(f"{signature}: ") and re.search(message, reason)


def test_mistakes_on_the_command_line_of_c(program, export, tmp_path):
    good = request(export(VAE), "decode", tmp_path / "in", {"z": INPUTS["z"]})[3:-1]
    commands = {
        "no such signature": [export(VAE), "translate", tmp_path],
        "the signature has no such input": [export(VAE), "encode", tmp_path, *good],
        "short file": [export(VAE), "decode", tmp_path, f"z=9x3:{tmp_path / 'in' / 'z'}.in"],
        "expected NAME=SHAPE:FILE": [export(VAE), "decode", tmp_path, "z"],
        "Could not find SavedModel": [tmp_path, "decode", tmp_path],
    }
    arguments = sum(([*command, "--"] for command in commands.values()), [])
    done = subprocess.run([program, *arguments], capture_output=True, text=True, env=QUIET)
    assert done.returncode == len(commands)
    assert all(message in done.stderr for message in commands)
    assert len(SOURCE.read_text().splitlines()) < 100
