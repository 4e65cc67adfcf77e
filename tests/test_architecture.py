"""The house: imports run down only, and only public APIs are used."""

import ast
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


@pytest.mark.parametrize("file", SOURCES, ids=lambda f: str(f.relative_to(ROOT)))
def test_imports_run_down_only(file):
    floor = file.relative_to(ROOT).parts[0]
    used = {name.split(".")[0] for name in imports(file)} & set(FLOORS)
    assert used <= {floor, *FLOORS[floor]}


@pytest.mark.parametrize("file", SOURCES, ids=lambda f: str(f.relative_to(ROOT)))
def test_only_distributions_import_tensorflow_probability(file):
    if file.parent != ROOT / "zoo" / "distributions":
        assert not any(name.startswith("tensorflow_probability") for name in imports(file))


@pytest.mark.parametrize("file", SOURCES, ids=lambda f: str(f.relative_to(ROOT)))
def test_files_stay_small(file):
    assert len(file.read_text().splitlines()) <= 400
