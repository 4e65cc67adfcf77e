"""The house: imports run down only, and only public APIs are used."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = {"zoo": (), "export": ("zoo",), "flags": ("export", "zoo")}
SOURCES = sorted(f for floor in FLOORS for f in (ROOT / floor).rglob("*.py"))


def imports(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def floor_of(name: str) -> str | None:
    """The floor that a module belongs to: `zoo.flags` and `zoo.export` are those above `zoo`."""
    top, *below = name.split(".")
    if top != "zoo":
        return None
    return below[0] if below and below[0] in FLOORS else "zoo"


@pytest.mark.parametrize("file", SOURCES, ids=lambda f: str(f.relative_to(ROOT)))
def test_imports_run_down_only(file):
    floor = file.relative_to(ROOT).parts[0]
    used = {floor_of(name) for name in imports(file)} - {None}
    assert used <= {floor, *FLOORS[floor]}


PROGRAMS = sorted(
    file
    for folder in (*FLOORS, "tests", "benchmarks")
    for file in (ROOT / folder).rglob("*.py")
    if file.name != "test_architecture.py"
)


@pytest.mark.parametrize("file", PROGRAMS, ids=lambda f: str(f.relative_to(ROOT)))
def test_every_module_is_called_by_its_one_name(file):
    assert not {name.split(".")[0] for name in imports(file)} & {"flags", "export"}
    assert not any(
        isinstance(node, ast.ImportFrom) and node.level
        for node in ast.walk(ast.parse(file.read_text()))
    )


def test_short_names_are_the_same_modules():
    code = (
        "import flags.train, zoo.export.saved_model, export.saved_model, zoo.flags.train\n"
        "assert flags is zoo.flags and flags.train is zoo.flags.train\n"
        "assert export is zoo.export and export.saved_model is zoo.export.saved_model"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_a_short_name_runs_a_program():
    command = [sys.executable, "-m", "flags.train", "--list_models"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "vgh_plus_plus" in done.stdout and done.stderr == ""


@pytest.mark.parametrize("file", SOURCES, ids=lambda f: str(f.relative_to(ROOT)))
def test_only_distributions_import_tensorflow_probability(file):
    if file.parent != ROOT / "zoo" / "distributions":
        assert not any(name.startswith("tensorflow_probability") for name in imports(file))


@pytest.mark.parametrize("file", PROGRAMS, ids=lambda f: str(f.relative_to(ROOT)))
def test_files_stay_small(file):
    assert len(file.read_text().splitlines()) <= 400
