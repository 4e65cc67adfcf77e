"""The files of deploy/ by the tools of their trade."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.clients

DEPLOY = Path(__file__).parents[2] / "deploy"
MANIFEST = DEPLOY / "serving/kubernetes.yaml"


def check(program, *arguments):
    """What a program of this environment says, nothing where it has no objection."""
    command = [Path(sys.executable).with_name(program), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.parametrize("file", sorted(DEPLOY.rglob("Dockerfile")), ids=lambda f: f.parent.name)
def test_dockerfiles(file, tmp_path):
    assert not check("hadolint", file)
    worse = tmp_path / "Dockerfile"
    worse.write_text(file.read_text().replace("USER 1000", "USER root"))
    assert "Last USER should not be root" in check("hadolint", worse)


def test_manifests(tmp_path):
    assert not check("kubernetes-validate", "--strict", MANIFEST)
    worse = tmp_path / MANIFEST.name
    worse.write_text(MANIFEST.read_text().replace("readinessProbe", "readynessProbe"))
    assert "readynessProbe" in check("kubernetes-validate", "--strict", worse)
