import json
import os
import socket

import pytest
import tensorflow as tf

from zoo.errors import UsageError
from zoo.files import (
    atomic_file,
    atomic_folder,
    check_length,
    check_writable,
    read_bytes,
    read_json,
    usable_path,
    user_path,
    write_json,
)


def names(folder):
    return sorted(f.name for f in folder.iterdir())


def test_atomic_file_replaces_and_makes_its_folder(tmp_path):
    path = tmp_path / "new" / "a.txt"
    for text in ("one", "two"):
        with atomic_file(path) as temporary:
            assert temporary.parent == path.parent and temporary.suffix == ".txt"
            temporary.write_text(text)
        assert path.read_text() == text
    assert names(path.parent) == ["a.txt"]


def test_a_failure_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="power cut"), atomic_file(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("power cut")
    assert path.read_text() == "old" and names(tmp_path) == ["a.txt"]


def test_finished_files_are_readable_as_any_other(tmp_path):
    before = os.umask(0o022)
    try:
        with atomic_file(tmp_path / "file"):
            pass
        with atomic_folder(tmp_path / "folder"):
            pass
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o755


def test_atomic_folder(tmp_path):
    path = tmp_path / "new" / "folder"
    with atomic_folder(path) as temporary:
        (temporary / "a").write_text("1")
        assert not path.exists()
    assert names(path) == ["a"] and names(path.parent) == ["folder"]


def test_atomic_folder_refuses_an_existing_one(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "kept").touch()
    with pytest.raises(UsageError, match="exists already and is not overwritten"):
        with atomic_folder(tmp_path / "folder"):
            pytest.fail("the block ran")
    assert names(tmp_path / "folder") == ["kept"] and names(tmp_path) == ["folder"]


def test_a_failure_leaves_no_folder(tmp_path):
    with pytest.raises(RuntimeError), atomic_folder(tmp_path / "folder") as temporary:
        (temporary / "a").touch()
        raise RuntimeError
    assert names(tmp_path) == []


def test_a_failure_leaves_no_folder_above(tmp_path):
    for writer in (atomic_file, atomic_folder):
        with pytest.raises(RuntimeError), writer(tmp_path / "new" / "deeper" / "result"):
            raise RuntimeError
        assert names(tmp_path) == []


@pytest.mark.parametrize("writer", [atomic_file, atomic_folder])
def test_a_place_that_cannot_be_written_is_a_mistake(tmp_path, writer):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot write"), writer(tmp_path / "file" / "a"):
        pytest.fail("the block ran")


def test_json_round_trip(tmp_path):
    value = {"a": [1, 2.5, None], "b": {"c": "é"}}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value
    assert json.loads((tmp_path / "a.json").read_text()) == value


def test_json_refuses_nan_and_leaves_the_old_file(tmp_path):
    write_json(tmp_path / "a.json", 1)
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", float("nan"))
    assert read_json(tmp_path / "a.json") == 1 and names(tmp_path) == ["a.json"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist"),
        (b"{", "cannot be read as JSON"),
        (b"\xff", "cannot be read"),
        (b'{"a": NaN}', "NaN is not a finite number"),
        (b'{"a": -1e999}', "-1e999 is not a finite number"),
        (b"[" * 100_000, "cannot be read as JSON"),
        (b"9" * 5000, "cannot be read as JSON"),
    ],
)
def test_unreadable_json_is_a_mistake(tmp_path, content, message):
    if content is not None:
        (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(UsageError, match=message):
        read_json(tmp_path / "a.json")


@pytest.mark.parametrize("path", ["", "a[b", "a\\b", "a\0b", "a\udcffb"])
def test_paths_that_tensorflow_would_not_find_again(path):
    with pytest.raises(UsageError, match="run_dir=.* is not accepted"):
        usable_path(path, "run_dir")


@pytest.mark.parametrize("path", ["a b", "a*b", "a?b", "a]b", "日本", "a\nb", "a%sb", "a'b"])
def test_paths_that_tensorflow_finds_again(tmp_path, path):
    folder = usable_path(tmp_path / path, "run_dir")
    folder.mkdir()
    variable = tf.Variable(3.0)
    checkpoint = tf.train.Checkpoint(variable=variable)
    checkpoint.write(str(folder / "state"))
    variable.assign(0.0)
    checkpoint.read(str(folder / "state")).assert_consumed()
    assert variable.numpy() == 3.0


def test_check_writable(tmp_path):
    (tmp_path / "file").touch()
    assert check_writable(tmp_path / "new" / "a.txt") == tmp_path / "new" / "a.txt"
    check_writable(tmp_path / "file")
    for path in (tmp_path, tmp_path / "file" / "a.txt", tmp_path / ("x" * 300) / "a.txt"):
        with pytest.raises(UsageError, match="cannot write"):
            check_writable(path)
    assert names(tmp_path) == ["file"]


def odd_file(path, kind):
    """Something at `path` that is no regular file, and which a naive reader waits for or eats."""
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    else:
        path.symlink_to("/dev/zero")
    return path


ODD = ["fifo", "folder", "socket", "device"]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ODD)
def test_only_regular_files_are_read_and_replaced(tmp_path, kind):
    path = odd_file(tmp_path / "a.json", kind)
    for reader in (read_bytes, read_json):
        with pytest.raises(UsageError, match="a.json is not a regular file"):
            reader(path)
    with pytest.raises(UsageError, match="cannot write .*a.json: it is"):
        check_writable(path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("~", "{home}"),
        ("~/a/b", "{home}/a/b"),
        ("~root", "{root}"),
        ("~root/a", "{root}/a"),
        ("a/~", "a/~"),
        ("a~", "a~"),
        ("./~/a", "{here}/~/a"),
        ("/a", "/a"),
    ],
)
def test_home(tmp_path, monkeypatch, text, expected):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    known = {"home": tmp_path / "home", "here": tmp_path, "root": os.path.expanduser("~root")}
    place = user_path(text)
    assert str(place) == expected.format(**known)
    assert user_path(place) == place  # whoever asks again gets the same
    assert usable_path(text, "run_dir") == place


@pytest.mark.parametrize("text", ["~nobody-of-that-name", "~nobody-of-that-name/a", "~a\0b/c"])
def test_a_home_that_is_not_known(text):
    with pytest.raises(UsageError, match="run_dir='~.* is not accepted: the home folder of "):
        usable_path(text, "run_dir")


def test_names_and_paths_that_are_too_long(tmp_path):
    name, path = (os.pathconf(tmp_path, limit) for limit in ("PC_NAME_MAX", "PC_PATH_MAX"))
    deep = tmp_path
    while len(str(deep)) < path - name - 2:
        deep = deep / ("x" * (name // 2))
    deep = deep / ("y" * (path - 1 - len(str(deep)) - 1))
    assert len(str(deep)) == path - 1
    odd = tmp_path / "a\ud800\udcff\0"  # no file is called so, which others tell
    for good, below in (
        (tmp_path / ("x" * name), 0),
        (deep, 0),
        (deep.with_name("y"), 1),
        (odd, 0),
    ):
        assert check_length(good, below) == good
    for bad, below in (
        (tmp_path / ("x" * (name + 1)), 0),
        (tmp_path / ("x" * (name + 1)) / "a", 0),
        (tmp_path / ("é" * (name // 2 + 1)), 0),
        (deep.with_name(deep.name + "y"), 0),
        (deep, 1),
    ):
        with pytest.raises(UsageError, match="File name too long: .* expected at most") as raised:
            check_length(bad, below)
        assert len(str(raised.value)) < 200
    assert names(tmp_path) == []


def test_room_for_the_temporary_name(tmp_path):
    """A suffix goes on to it, and would be refused when the work is done."""
    path = tmp_path / ("a." + "x" * 250)
    with pytest.raises(UsageError, match="File name too long"):
        check_writable(path)
    with pytest.raises(UsageError, match="File name too long"), atomic_file(path):
        pytest.fail("the block ran")
    check_writable(tmp_path / ("x" * 250))
    with atomic_file(tmp_path / ("x" * 250)):
        pass
