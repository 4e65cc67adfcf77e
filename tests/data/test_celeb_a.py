import json
import os
import zipfile

import numpy as np
import pytest
from PIL import Image

from zoo.config import DataConfig
from zoo.data import decoding, load_dataset
from zoo.data.celeb_a import local_source
from zoo.errors import UsageError

# The first and last image of every official split, out of order.
NUMBERS = {
    "test": (202599, 182638),
    "train": (162770, 1, 2),
    "validation": (162771, 182637),
}


@pytest.fixture
def faces(tmp_path, save_image):
    folder = tmp_path / "img_align_celeba"
    for numbers in NUMBERS.values():
        for number in numbers:
            save_image(folder / f"{number:06d}.jpg", 178, 218)
    return folder


def zipped(folder, path, **extra):
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.iterdir(), reverse=True):
            archive.write(file, f"{folder.name}/{file.name}")
        for name, content in extra.items():
            archive.writestr(name, content)
    return path


def load(data_dir, **settings):
    return load_dataset(DataConfig(dataset="celeb_a", data_dir=str(data_dir), **settings))


def refused(data_dir, **settings):
    with pytest.raises(UsageError) as raised:
        load(data_dir, **settings)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def reference(path):
    """The crop by array indices: 39 rows above and below, 19 columns on either side."""
    square = np.asarray(Image.open(path))[39:179, 19:159]
    return np.asarray(Image.fromarray(square).resize((64, 64), Image.Resampling.BILINEAR))


def check(dataset, faces):
    assert list(dataset.splits) == ["train", "validation", "test"]
    for name, numbers in NUMBERS.items():
        expected = [reference(faces / f"{number:06d}.jpg") for number in sorted(numbers)]
        np.testing.assert_array_equal(dataset.split(name).images, expected)
        assert dataset.split(name).labels is None
    assert dataset.image_shape == (64, 64, 3)
    json.dumps(dataset.provenance)


def test_folder_parent_folder_and_zip_give_the_same_official_splits(faces, tmp_path):
    archive = zipped(faces, tmp_path / "faces.ZIP", **{"__MACOSX/img_align/._000001.jpg": b"x"})
    for data_dir in (faces, faces.parent, archive):
        check(load(data_dir), faces)


def test_the_second_load_decodes_nothing(faces, tmp_path, monkeypatch):
    archive = zipped(faces, tmp_path / "faces.zip")
    load(archive)
    monkeypatch.setattr(decoding, "open_image", None)
    check(load(archive), faces)


def test_a_folder_of_prepared_data_is_not_local(tmp_path):
    (tmp_path / "celeb_a" / "2.1.0").mkdir(parents=True)
    assert local_source(str(tmp_path)) is None
    assert local_source(None) is None


def test_a_part_of_the_set_is_warned_about(faces, warnings_logged):
    load(faces)
    assert len(warnings_logged) == 1 and "7 of the 202599 images" in warnings_logged[0]


def test_a_missing_split(faces):
    (faces / "162771.jpg").unlink()
    (faces / "182637.jpg").unlink()
    message = refused(faces)
    assert "split validation, 162771.jpg to 182637.jpg" in message


def test_other_photos(tmp_path, save_image):
    save_image(tmp_path / "photos" / "IMG_1234.jpg", 178, 218)
    assert "--dataset=folder" in refused(tmp_path / "photos")


@pytest.mark.parametrize("number", [0, 202600])
def test_numbers_outside_the_set(faces, save_image, number):
    save_image(faces / f"{number:06d}.jpg", 178, 218)
    assert f"{number:06d}.jpg" in refused(faces)


@pytest.mark.parametrize("content", [b"", b"not a zip", None])
def test_broken_zip(tmp_path, content):
    path = tmp_path / "faces.zip"
    if content is not None:
        path.write_bytes(content)
    message = refused(path)
    assert str(path) in message and "not a readable zip" in message


def test_truncated_zip(faces, tmp_path):
    path = zipped(faces, tmp_path / "faces.zip")
    path.write_bytes(path.read_bytes()[:-30])
    assert "not a readable zip" in refused(path)


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
def test_a_broken_face_is_named_or_skipped(faces, tmp_path, save_image, packed, warnings_logged):
    (faces / "000003.jpg").write_bytes((faces / "000001.jpg").read_bytes()[:700])
    source = zipped(faces, tmp_path / "faces.zip") if packed else faces
    message = refused(source)
    assert "000003.jpg" in message and str(source) in message and "--skip_broken" in message
    dataset = load(source, skip_broken=True)
    assert dataset.provenance["skipped"] == 1
    check(dataset, faces)
    assert any("000003.jpg" in line for line in warnings_logged)


def test_a_damaged_zip_member_is_named(faces, tmp_path):
    path = zipped(faces, tmp_path / "faces.zip")
    content = bytearray(path.read_bytes())
    middle = content.index((faces / "000002.jpg").read_bytes()) + 600
    content[middle : middle + 20] = bytes(20)
    path.write_bytes(content)
    assert "000002.jpg in" in refused(path)


def test_faces_that_are_not_aligned(faces, save_image):
    save_image(faces / "000004.jpg", 409, 687)
    assert "409x687" in refused(faces) and "178x218" in refused(faces)


@pytest.mark.timeout(60)
def test_a_fifo_is_not_waited_for(faces, tmp_path):
    os.mkfifo(faces / "000004.jpg")
    assert "000004.jpg cannot be decoded (not a regular file)" in refused(faces)
    check(load(faces, skip_broken=True), faces)
    os.mkfifo(tmp_path / "faces.zip")
    assert "faces.zip is not a regular file" in refused(tmp_path / "faces.zip")


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
def test_every_file_is_accounted_for(faces, tmp_path, save_image, packed):
    (faces / "list.txt").touch()
    (faces / "000003.jpg").touch()
    save_image(faces / "000004.jpg", 409, 687)
    source = zipped(faces, tmp_path / "faces.zip") if packed else faces
    provenance = load(source, skip_broken=True).provenance
    assert provenance["found"] == 10 and provenance["used"] == 7
    assert provenance["left_out"] == {
        "not named 000001.jpg to 202599.jpg": 1,
        "images that cannot be decoded": 1,
        "images of another size than 178x218": 1,
    }
