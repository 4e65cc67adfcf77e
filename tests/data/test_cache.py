import os
from pathlib import Path

import numpy as np
import pytest

from zoo.data import cache
from zoo.errors import UsageError
from zoo.partial import partial_file

SHAPE = (4, 5, 3)


class Source:
    """Counts how often it is decoded."""

    def __init__(self, rng, labelled=True):
        self.images = rng.integers(0, 256, (300, *SHAPE), dtype=np.uint8)
        self.labels = np.arange(300) % 7 if labelled else None
        self.decoded = 0

    def decode(self, append):
        self.decoded += 1
        for start in range(0, 300, 70):
            part = slice(start, start + 70)
            append(self.images[part], None if self.labels is None else self.labels[part])
        return {"counts": {"train": 300}}

    def load(self, key="a"):
        decoded = cache.load_or_decode("toy", key, SHAPE, self.decode)
        np.testing.assert_array_equal(decoded.images, self.images)
        if self.labels is None:
            assert decoded.labels is None
        else:
            np.testing.assert_array_equal(decoded.labels, self.labels)
        assert decoded.notes == {"counts": {"train": 300}}
        return decoded


@pytest.fixture(params=[True, False], ids=["labelled", "unlabelled"])
def source(request, rng):
    return Source(rng, request.param)


def only(folder, pattern):
    (path,) = folder.glob(pattern)
    return path


def test_the_second_load_is_a_read_only_memory_map_without_decoding(source):
    for _ in range(2):
        decoded = source.load()
        assert isinstance(decoded.images, np.memmap) and not decoded.images.flags.writeable
    assert source.decoded == 1


def test_other_ingredients_are_another_entry(source):
    source.load("a")
    source.load("b")
    assert source.decoded == 2


@pytest.mark.parametrize("pattern", ["*[0-9a-f].npy", "*.json"])
@pytest.mark.parametrize("damage", ["truncate", "empty", "garbage", "remove"])
def test_a_damaged_entry_is_decoded_again(source, cache_folder, pattern, damage):
    source.load()
    path = only(cache_folder, pattern)
    content = path.read_bytes()
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(
            {"truncate": content[: len(content) // 2], "empty": b"", "garbage": b"PK?\0" * 40}[
                damage
            ]
        )
    source.load()
    assert source.decoded == 2
    source.load()
    assert source.decoded == 2


@pytest.mark.parametrize("pattern", ["*[0-9a-f].npy", "*.labels.npy"])
def test_a_flipped_bit_is_decoded_again(rng, cache_folder, pattern):
    source = Source(rng)
    source.load()
    path = only(cache_folder, pattern)
    content = bytearray(path.read_bytes())
    content[-3] ^= 4
    path.write_bytes(content)
    source.load()
    assert source.decoded == 2


def test_a_damaged_label_file_is_decoded_again(rng, cache_folder):
    source = Source(rng)
    source.load()
    path = only(cache_folder, "*.labels.npy")
    path.write_bytes(path.read_bytes()[:-8])
    source.load()
    assert source.decoded == 2


def test_an_entry_with_fewer_images_is_decoded_again(source, cache_folder):
    source.load()
    np.save(only(cache_folder, "*[0-9a-f].npy"), source.images[:200])
    source.load()
    assert source.decoded == 2


@pytest.mark.parametrize("obstacle", ["file", "below_file", "full_disk"])
def test_an_unwritable_folder_means_memory_and_one_warning(
    source, cache_folder, obstacle, monkeypatch, warnings_logged
):
    if obstacle == "full_disk":

        def fsync(file):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", fsync)
    else:
        cache_folder.write_text("")
        if obstacle == "below_file":
            monkeypatch.setenv("ZOO_CACHE_DIR", str(cache_folder / "deeper"))
    decoded = source.load()
    assert not isinstance(decoded.images, np.memmap)
    assert len(warnings_logged) == 1 and "kept in memory" in warnings_logged[0]


def test_no_ingredients_means_memory_without_a_warning(source, cache_folder, warnings_logged):
    source.load(None)
    assert not cache_folder.exists() and not warnings_logged


def test_a_failing_decoder_leaves_nothing(cache_folder):
    def decode(append):
        append(np.zeros((3, *SHAPE), np.uint8), None)
        raise UsageError("broken")

    with pytest.raises(UsageError, match="broken"):
        cache.load_or_decode("toy", "a", SHAPE, decode)
    assert not list(cache_folder.iterdir())


def test_leftovers_of_a_killed_process_are_removed(source, cache_folder):
    source.load("another")
    (cache_folder / ".partial-abcdefgh.npy").touch()
    with partial_file(cache_folder, ".npy") as being_written:
        source.load()
        assert [f for f in cache_folder.iterdir() if f.name.startswith(".")] == [being_written]


def test_no_home_means_memory_and_one_warning(source, monkeypatch, warnings_logged):
    for name in ("ZOO_CACHE_DIR", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as for a user unknown to it
    decoded = source.load()
    assert not isinstance(decoded.images, np.memmap)
    assert len(warnings_logged) == 1 and "no home folder is known" in warnings_logged[0]
    monkeypatch.setenv("ZOO_CACHE_DIR", "~/cache")
    source.load()
    assert "ZOO_CACHE_DIR='~/cache' is not accepted" in warnings_logged[1]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"ZOO_CACHE_DIR": "/a", "XDG_CACHE_HOME": "/b"}, "/a"),
        ({"XDG_CACHE_HOME": "/b"}, "/b/zoo"),
        ({"HOME": "/home/me"}, "/home/me/.cache/zoo"),
    ],
)
def test_where_the_cache_lies(variables, expected, monkeypatch):
    for name in ("ZOO_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache.cache_dir() == Path(expected)
