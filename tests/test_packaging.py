"""The built distributions, installed outside the tree, beside a user's own `flags.py`."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BUILD = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input")
FLOORS = {"zoo": "zoo", "flags": "zoo/flags", "export": "zoo/export"}  # in the tree, installed
# Every module of ours that somebody's file could have the name of.
OWN_FILES = ("flags", "export", "config", "noise", "train", "program")


def run(command, **options):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with an sdist, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("built")
    tree = folder / "tree"  # what a build leaves beside the sources would go into the next
    others = shutil.ignore_patterns(
        ".*", "__pycache__", "tests", "docs", "runs", "build", "node_modules", "*.egg-info"
    )
    shutil.copytree(ROOT, tree, symlinks=True, ignore=others)
    run([sys.executable, "-c", BUILD, folder], cwd=tree)
    (sdist,) = folder.glob("*.tar.gz")
    wheel = ("wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index")
    run([*PIP, *wheel, f"--wheel-dir={folder}", sdist])
    return folder


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """Runs a program of the installed wheel where a user keeps modules of the same names."""
    site, home = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("home")
    (wheel,) = built.glob("*.whl")
    run([*PIP, "install", "--quiet", "--no-deps", "--no-index", f"--target={site}", wheel])
    for name in OWN_FILES:
        (home / f"{name}.py").write_text(f"raise SystemExit('{name}.py of the user was imported')")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (home, site)))}

    def call(program, *arguments):
        command = [sys.executable, site / "bin" / f"zoo-{program}", *arguments]
        return run(command, cwd=home, env=environment)

    call.python = lambda code: run([sys.executable, "-c", code], cwd=home, env=environment)
    call.home, call.site = home, site
    return call


def test_the_wheel_installs_one_name(built):
    (wheel,) = built.glob("*.whl")
    names = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == {"zoo"}


def test_the_wheel_says_that_it_has_types(built):
    (wheel,) = built.glob("*.whl")
    assert "zoo/py.typed" in zipfile.ZipFile(wheel).namelist()


def test_both_distributions_hold_every_file(built):
    files = [file for floor in FLOORS for file in (ROOT / floor).rglob("*") if file.is_file()]
    files = [file.relative_to(ROOT) for file in files if file.parent.name != "__pycache__"]
    wanted = {f"{FLOORS[file.parts[0]]}/{file.relative_to(file.parts[0])}" for file in files}
    assert {
        "zoo/flags/presets/cifar10.flags",
        "zoo/flags/presets/models/vae_real_nvp.flags",
    } <= wanted
    assert "zoo/paper/sweeps/latent_sizes.json" in wanted
    (wheel,), (sdist,) = built.glob("*.whl"), built.glob("*.tar.gz")
    assert wanted <= set(zipfile.ZipFile(wheel).namelist())
    with tarfile.open(sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    assert wanted <= held and {"README.md", "LICENSE", "setup.py", "pyproject.toml"} <= held


def test_help_beside_a_module_of_the_same_name(installed):
    assert "--latent_size" in installed("train", "--help")
    assert "--output" in installed("export", "--help")
    place = installed.python("import zoo.flags.train, zoo.export; print(zoo.export.__file__)")
    assert Path(place.strip()).is_relative_to(installed.site)


@pytest.mark.slow
def test_training_and_export_beside_a_module_of_the_same_name(installed):
    tiny = ("--strategy=one_device", "--steps=1", "--batch_size=8", "--width=0.06")
    # A sweep trains in a process that it starts itself.
    installed("train", *tiny, "--latent_size=3", "--sweep=seed=3", "--run_dir=sweep")
    (run_dir,) = (path.parent for path in (installed.home / "sweep").rglob("config.json"))
    installed("export", f"--run_dir={run_dir}", "--output=served", "--name=vae")
    assert (installed.home / "served/vae/1/saved_model.pb").is_file()


def test_the_version_is_the_same_everywhere(built):
    (wheel,) = built.glob("*.whl")
    version = wheel.name.split("-")[1]
    cited = dict(re.findall(r"^([\w-]+): (.*)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE))
    released = re.findall(
        r"^## (\d\S*) - (\S+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    assert cited["version"] == version
    assert released[0] == (version, cited["date-released"].strip('"'))


def test_the_workflow_runs_every_python_that_is_declared(built):
    (wheel,) = built.glob("*.whl")
    archive = zipfile.ZipFile(wheel)
    (metadata,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
    declared = re.findall(r"Python :: (3\.\d+)$", archive.read(metadata).decode(), re.MULTILINE)
    workflow = (ROOT / ".github/workflows/test.yml").read_text()
    (matrix,) = re.findall(r"python: \[(.*)\]", workflow)
    assert re.findall(r"3\.\d+", matrix) == declared
