"""Which files of a folder become images, by which way, and what is said of the others."""

import hashlib
import logging
import os
import shutil
import socket

import numpy as np
import pytest
from PIL import Image

from zoo.config import DataConfig
from zoo.data import load_dataset
from zoo.data.listing import extensions, list_images
from zoo.errors import UsageError


@pytest.fixture
def photos(tmp_path, save_image):
    """Twelve images, in the folder and below it."""
    for number in range(12):
        save_image(tmp_path / "photos" / f"{'deep/' * (number % 2)}{number:02d}.png", 20, 20)
    return tmp_path / "photos"


@pytest.fixture
def store(tmp_path, save_image):
    """Thirty images elsewhere."""
    for number in range(30):
        save_image(tmp_path / "store" / "cats" / f"{number:02d}.png", 20, 20)
    return tmp_path / "store"


def load(folder, **settings):
    return load_dataset(
        DataConfig(dataset="folder", data_dir=str(folder), image_size=28, **settings)
    )


def count(dataset):
    return sum(map(len, dataset.splits.values()))


def test_linked_folders_are_entered(photos, store):
    (photos / "cats").symlink_to("../store/cats")
    assert count(load(photos)) == 42
    links = photos.parent / "links"
    links.mkdir()
    (links / "cats").symlink_to(store / "cats")
    assert count(load(links)) == 30
    assert load(links).splits.keys() == {"train", "validation", "test"}


def test_a_linked_folder_counts_as_a_copy_of_it(photos, store):
    (photos / "cats").symlink_to("../store/cats")
    linked = load(photos)
    (photos / "cats").unlink()
    shutil.copytree(store / "cats", photos / "cats")
    assert load(photos).fingerprint == linked.fingerprint


@pytest.mark.timeout(20)
@pytest.mark.parametrize("target", [".", "..", "/", "deep", "../photos", "deep/back"])
def test_loops_end(photos, target):
    """Links to a folder in the path, above it, beside it, to the root, and in a circle."""
    (photos / "deep" / "back").symlink_to("../loop")
    (photos / "loop").symlink_to(target)
    listing = list_images(photos)
    assert len(listing.names) == 12
    assert sum(number for number, _ in listing.left_out.values()) == 2


def test_a_folder_that_is_reached_twice_is_entered_once(photos, store, save_image):
    """By its own place rather than by a link, else by the first link."""
    (photos / "a link").symlink_to("deep")
    (photos / "cats").symlink_to("../store/cats")
    (photos / "kittens").symlink_to("../store/cats")
    listing = list_images(photos)
    assert len(listing.names) == 42
    assert {os.path.dirname(name) for name in listing.names} == {"", "deep", "cats"}
    number, examples = listing.left_out["links to folders that are here already"]
    assert number == 2 and sorted(examples) == ["a link", "kittens"]


def test_linked_images_count_by_their_names(photos, store):
    (photos / "one.png").symlink_to(store / "cats" / "00.png")
    (photos / "two.png").symlink_to(store / "cats" / "00.png")
    assert {"one.png", "two.png"} <= set(list_images(photos).names)


def test_the_order_is_that_of_the_hash(photos):
    names = list_images(photos).names
    assert names == sorted(names, key=lambda n: hashlib.sha256(n.encode()).hexdigest())
    assert set(names) == {p.relative_to(photos).as_posix() for p in photos.rglob("*.png")}


KINDS = {
    "png": "PNG",
    "jpg": "JPEG",
    "jpeg": "JPEG",
    "jfif": "JPEG",
    "jpe": "JPEG",
    "bmp": "BMP",
    "webp": "WEBP",
    "gif": "GIF",
    "tif": "TIFF",
    "tiff": "TIFF",
    "TIF": "TIFF",
    "ppm": "PPM",
    "tga": "TGA",
    "jp2": "JPEG2000",
    "ico": "ICO",
    "pcx": "PCX",
}


def test_every_type_that_pillow_decodes(tmp_path, rng):
    (tmp_path / "all").mkdir()
    pixels = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    image = Image.fromarray(pixels).resize((32, 32), Image.Resampling.NEAREST)
    for ending, kind in KINDS.items():
        image.save(tmp_path / "all" / f"a.{ending}", kind)
    dataset = load(tmp_path / "all")
    assert count(dataset) == len(KINDS) and dataset.provenance["left_out"] == {}


@pytest.mark.parametrize(
    "ending", [".pdf", ".eps", ".ps", ".mpg", ".mpeg", ".h5", ".hdf", ".wmf", ".emf", ".txt", ""]
)
def test_what_is_no_image_of_pixels(photos, ending):
    assert ending not in extensions()
    (photos / f"other{ending}").write_text("not an image")
    dataset = load(photos)
    assert count(dataset) == 12 and dataset.provenance["left_out"] == {"of other types": 1}


def fifo(path):
    os.mkfifo(path)


def listening(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("make", [fifo, listening, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_regular_file_is_never_opened(photos, make, warnings_logged):
    make(photos / "p.png")
    dataset = load(photos)
    assert count(dataset) == 12 and dataset.provenance["left_out"] == {"no regular files": 1}
    assert "1 no regular files (p.png)" in warnings_logged[0]


def test_the_line_accounts_for_every_file(photos, store, warnings_logged):
    (photos / "cats").symlink_to("../store/cats")
    (photos / "kittens").symlink_to("cats")
    for number in range(5):
        (photos / f"{number}.txt").touch()
    for name in ("a.json", "b.csv", "c.md", ".DS_Store", "small.png", "bad.png"):
        (photos / name).touch()
    Image.new("RGB", (4, 40)).save(photos / "small.png")
    fifo(photos / "p.png")
    dataset = load(photos, skip_broken=True)
    expected = {
        "of other types": 8,
        "hidden": 1,
        "no regular files": 1,
        "links to folders that are here already": 1,
        "images below 8 pixels a side": 1,
        "images that cannot be decoded": 1,
    }
    provenance = dataset.provenance
    assert provenance["left_out"] == expected
    assert provenance["used"] == count(dataset) == 42 and provenance["found"] == 55
    load(photos, skip_broken=True)  # from the cache
    assert len(warnings_logged) == 2
    for line in warnings_logged:
        assert line.startswith(f"folder: {photos}: 55 files found, 42 images used, 13 left out: ")
        for reason, number in expected.items():
            assert f"{number} {reason} (" in line
        assert "small.png" in line and "bad.png" in line and ".txt" in line and ", ...)" in line
        assert "\n" not in line


def test_nothing_left_out_is_no_warning(photos, caplog, warnings_logged):
    caplog.set_level(logging.INFO, "zoo")
    (photos / ".hidden").touch()
    load(photos)
    assert not warnings_logged
    assert caplog.messages == [
        f"folder: {photos}: 13 files found, 12 images used, 1 left out: 1 hidden (.hidden)"
    ]


def test_a_folder_without_images_tells_what_it_has(tmp_path):
    (tmp_path / "a.heic").touch()
    with pytest.raises(UsageError, match=r"has no images: .* 1 of other types \(.heic\)"):
        load(tmp_path)


def test_a_link_that_leads_nowhere(photos):
    (photos / "notes").symlink_to("gone")
    assert load(photos).provenance["left_out"] == {"of other types": 1}
    (photos / "loop.png").symlink_to("loop.png")
    with pytest.raises(UsageError, match="loop.png cannot be decoded"):
        load(photos)
    assert count(load(photos, skip_broken=True)) == 12


def test_a_folder_that_cannot_be_read(photos, monkeypatch):
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UsageError, match="folder .*deep cannot be read: Permission denied"):
        load(photos)
