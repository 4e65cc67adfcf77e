"""Which folder the next version gets, before anything is computed."""

import pytest

from zoo.errors import UsageError
from zoo.export.versions import new_version


def test_the_next_free_version(tmp_path):
    assert new_version(tmp_path, "vae") == tmp_path / "vae" / "1"
    for number in ("1", "7", "notes"):
        (tmp_path / "vae" / number).mkdir(parents=True)
    assert new_version(tmp_path, "vae") == tmp_path / "vae" / "8"
    assert new_version(tmp_path, "vae", 3) == tmp_path / "vae" / "3"
    assert new_version(tmp_path, "aae") == tmp_path / "aae" / "1"


def test_a_version_that_is_taken(tmp_path):
    (tmp_path / "vae" / "2").mkdir(parents=True)
    with pytest.raises(UsageError, match="vae/2 exists already: expected a free version, as 3"):
        new_version(tmp_path, "vae", 2)


def test_places_that_cannot_hold_versions(tmp_path):
    (tmp_path / "file").touch()
    for output, name, message in (
        (tmp_path, "file", "file is a file: expected a folder"),
        (tmp_path / "a[b", "vae", "with '\\[' in it"),
        (tmp_path, "x" * 300, "File name too long: a name of 300 bytes"),
        (tmp_path.joinpath(*["y" * 200] * 21), "vae", "File name too long: a path of"),
    ):
        with pytest.raises(UsageError, match=message):
            new_version(output, name)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../evil"])
def test_a_name_is_one_path_component(tmp_path, name):
    with pytest.raises(UsageError, match="expected one path component"):
        new_version(tmp_path, name)


def test_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert new_version("~/served", "vae") == tmp_path / "served" / "vae" / "1"
