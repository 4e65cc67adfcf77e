"""What killed writers leave goes at once; what a living one has in hand stays."""

import errno
import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from zoo.files import atomic_file, atomic_folder
from zoo.partial import ABANDONED, partial_file, partial_folder, remove_partial

ROOT = Path(__file__).parents[1]
MAKERS = [partial_file, partial_folder]


def names(folder):
    return sorted(f.name for f in folder.iterdir())


def age(path, seconds):
    os.utime(path, (time.time() - seconds,) * 2)


def process(code, *arguments):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


WRITER = """
import sys, time
from pathlib import Path
from zoo import partial
with getattr(partial, sys.argv[1])(Path(sys.argv[2])) as temporary:
    print(temporary, flush=True)
    time.sleep(600)
"""


def test_only_what_writers_left_is_taken(tmp_path):
    (tmp_path / ".partial-abc").mkdir()
    (tmp_path / ".partial-abc" / "state").touch()
    (tmp_path / ".partial-xyz.png").touch()
    (tmp_path / "kept").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / ".partial-link").symlink_to("kept")
    remove_partial(tmp_path)
    assert names(tmp_path) == [".partial-link", "folder", "kept"]
    remove_partial(tmp_path / "none")


@pytest.mark.timeout(20)
def test_a_fifo_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / ".partial-fifo")
    remove_partial(tmp_path)


@pytest.mark.parametrize("maker", MAKERS)
def test_a_living_writer_keeps_its_own_however_old_it_is(tmp_path, maker):
    writer = process(WRITER, maker.__name__, tmp_path)
    try:
        temporary = Path(writer.stdout.readline().strip())
        age(temporary, 10 * ABANDONED)
        with maker(tmp_path) as own:
            remove_partial(tmp_path)
            assert names(tmp_path) == sorted([temporary.name, own.name])
        writer.kill()
        writer.wait()
        assert names(tmp_path) == [temporary.name]
        remove_partial(tmp_path)
        assert names(tmp_path) == []
    finally:
        writer.kill()
        writer.communicate()


@pytest.mark.parametrize("writer", [atomic_file, atomic_folder])
def test_the_next_writer_in_the_folder_removes_leftovers(tmp_path, writer):
    (tmp_path / ".partial-abcdefgh.json").touch()
    with writer(tmp_path / "result"):
        pass
    assert names(tmp_path) == ["result"]


@pytest.mark.parametrize("maker", MAKERS)
def test_what_has_its_final_name_is_no_leftover(tmp_path, maker):
    with maker(tmp_path) as temporary:
        temporary.rename(tmp_path / "result")
    assert names(tmp_path) == ["result"]


def test_without_locks_age_tells(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", refuse)
    for name, seconds in (("young", ABANDONED - 60), ("old", ABANDONED + 60)):
        (tmp_path / f".partial-{name}").touch()
        age(tmp_path / f".partial-{name}", seconds)
    with partial_file(tmp_path) as own:
        remove_partial(tmp_path)
        assert names(tmp_path) == sorted([own.name, ".partial-young"])


RIVALS = """
import sys
from pathlib import Path
from zoo.files import atomic_file, atomic_folder, remove_partial
folder, who = Path(sys.argv[1]), sys.argv[2]
for number in range(300):
    remove_partial(folder)
    with atomic_file(folder / "shared") as temporary:
        temporary.write_text(who * 1000)
    with atomic_folder(folder / f"{who}{number}") as temporary:
        (temporary / "state").write_text(who)
"""


def test_rivals_in_one_folder_lose_nothing(tmp_path):
    """Each removes leftovers at every step, also between the making of a file and its lock."""
    rivals = [process(RIVALS, tmp_path, who) for who in "abc"]
    assert [rival.wait() for rival in rivals] == [0, 0, 0]
    for rival in rivals:
        rival.stdout.close()
    made = {f"{who}{number}" for who in "abc" for number in range(300)}
    assert set(names(tmp_path)) == made | {"shared"}
    assert all((tmp_path / name / "state").read_text() == name[0] for name in made)
    assert len((tmp_path / "shared").read_text()) == 1000
