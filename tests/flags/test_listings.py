"""What a program tells of itself: its version, what there is to name, and completions."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.flags.in_process import call
from tests.flags.test_programs import NAMES
from zoo.flags import preset
from zoo.registry import DATASETS, METRICS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", NAMES)
def test_version(name, capsys):
    assert call(name, "--version") == 0
    seen = capsys.readouterr()
    assert seen.out.startswith(f"zoo-{name} 0.1.0 (tensorflow 2.") and seen.err == ""


def test_the_version_of_an_export_is_another_thing(trained, tmp_path, capsys):
    run, output = f"--run_dir={trained / 'run'}", f"--output={tmp_path}"
    assert call("export", run, output, "--name=tiny", "--version=7") == 0
    assert (tmp_path / "tiny" / "7" / "saved_model.pb").exists()


@pytest.mark.parametrize(
    ("program", "flag", "names"),
    [
        ("train", "--list_presets", preset.names()),
        ("train", "--list_datasets", DATASETS),
        ("evaluate", "--list_datasets", DATASETS),
        ("evaluate", "--list_metrics", METRICS),
    ],
)
def test_lists_name_all_there_is_without_tensorflow(program, flag, names):
    code = (
        "import sys\ntry:\n    module.run()\nfinally:\n    assert 'tensorflow' not in sys.modules"
    )
    code = f"import zoo.flags.{program} as module\n{code}"
    command = [sys.executable, "-c", code, flag]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    lines = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
    assert [name for name, _ in lines] == list(names) and done.stderr == ""


def test_a_listed_preset_is_the_settings_it_stands_for():
    settings = preset.settings_of("color_mnist_mini/vae")
    assert "--dataset=color_mnist_mini" in settings and "--model=vae" in settings
    assert [s for s in settings if s.startswith("--steps=")] == ["--steps=2000"]


@pytest.fixture(scope="module")
def complete(tmp_path_factory):
    """What bash offers at the end of a line."""
    folder = tmp_path_factory.mktemp("completion")
    made = {}
    for name in ("train", "evaluate", "serve"):
        code = f"import sys, zoo.flags.{name} as p; sys.argv[0] = 'zoo-{name}'; p.run()"
        command = [sys.executable, "-c", code, "--completion=bash"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        made[f"zoo-{name}"] = done.stdout
    (folder / "runs").mkdir()
    (folder / "runs" / "a vae").mkdir()

    def offered(line):
        program = line.split()[0]
        function = f"_{program.replace('-', '_')}"
        script = f'{made[program]}\n{function}\nprintf "%s\\n" "${{COMPREPLY[@]}}"'
        environment = {**os.environ, "COMP_LINE": line, "COMP_POINT": str(len(line))}
        command = ["bash", "--norc", "-c", script]
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=True
        )
        assert done.stderr == ""
        return done.stdout.splitlines()

    return offered


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("zoo-train --latent", ["--latent_size="]),
        ("zoo-train --steps=3 --list_p", ["--list_presets"]),
        ("zoo-train --nojit", ["--nojit_compile"]),
        ("zoo-train --strategy=m", ["mirrored", "multi_worker"]),
        ("zoo-train --model=vg", ["vgh", "vgh_plus_plus"]),
        (
            "zoo-train --preset=color_mnist_mini/vae_",
            [
                "color_mnist_mini/vae_gan",
                "color_mnist_mini/vae_real_nvp",
                "color_mnist_mini/vae_vamp",
            ],
        ),
        ("zoo-evaluate --metrics=wass", ["wasserstein_critic"]),
        ("zoo-evaluate --run_dir=runs/a", ["runs/a vae"]),
        ("zoo-serve --model=ru", ["runs"]),
        ("zoo-train --steps=", [""]),
    ],
)
def test_bash_completes(complete, line, expected):
    assert complete(line) == expected


def test_zsh_is_given_every_flag(capsys):
    assert call("train", "--completion=zsh") == 0
    script = capsys.readouterr().out
    assert script.startswith("#compdef zoo-train\n")
    for part in ("'--run_dir=[", ":run_dir:_files'", ":strategy:(auto one_device", "'--nojit_"):
        assert part in script


def test_another_shell(capsys):
    assert call("train", "--completion=fish") == 2
    assert "--completion=fish: expected one of bash, zsh" in capsys.readouterr().err
