import json
import os

import numpy as np
import pytest
from PIL import Image

from zoo.config import DataConfig
from zoo.data import decoding, load_dataset
from zoo.errors import UsageError


@pytest.fixture
def photos(tmp_path, save_image):
    """Twenty images of several formats and sizes, some in sub-folders."""
    folder = tmp_path / "photos"
    endings = ("png", "jpg", "JPEG", "bmp", "webp", "gif")
    for number in range(20):
        name = f"{'deep/er/' * (number % 3)}{number:02d}.{endings[number % 6]}"
        save_image(folder / name, 30 + 7 * number, 90 - 3 * number)
    return folder


def load(folder, **settings):
    return load_dataset(DataConfig(dataset="folder", data_dir=str(folder), **settings))


def refused(folder, **settings):
    with pytest.raises(UsageError) as raised:
        load(folder, **settings)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def all_images(dataset):
    return np.concatenate([split.images for split in dataset.splits.values()])


@pytest.mark.parametrize("size", [None, 28, 32, 47, 64, 128])
def test_sizes_and_splits(photos, size):
    dataset = load(photos, image_size=size)
    assert dataset.image_shape == (size or 64, size or 64, 3)
    assert {k: len(v) for k, v in dataset.splits.items()} == {
        "train": 16,
        "validation": 2,
        "test": 2,
    }
    assert len(np.unique(all_images(dataset), axis=0)) == 20
    assert dataset.provenance["skipped"] == 0
    json.dumps(dataset.provenance)


def test_splits_depend_on_relative_paths_only(photos, tmp_path):
    before = load(photos)
    moved = tmp_path / "elsewhere"
    photos.rename(moved)
    assert load(moved).fingerprint == before.fingerprint


def test_crop_takes_the_centre_and_the_whole_short_side(tmp_path):
    folder = tmp_path / "wide"
    folder.mkdir()
    pixels = np.zeros((32, 96, 3), np.uint8)
    pixels[:, 32:64] = (10, 200, 30)
    pixels[1:-1, 33:63] = (90, 20, 30)  # an inner square: the rim shows any pixel lost
    for number in range(10):
        Image.fromarray(pixels if number % 2 else pixels.transpose(1, 0, 2)).save(
            folder / f"{number}.png"
        )
    images = all_images(load(folder, image_size=32))
    np.testing.assert_array_equal(images, np.broadcast_to(pixels[:, 32:64], images.shape))


def test_reduction_is_antialiased(tmp_path):
    """A one-pixel chessboard becomes grey; picking pixels would give black or white."""
    folder = tmp_path / "chess"
    folder.mkdir()
    board = (np.indices((256, 256)).sum(axis=0) % 2 * 255).astype(np.uint8)
    for number in range(10):
        Image.fromarray(board).save(folder / f"{number}.png")
    images = all_images(load(folder, image_size=64)).astype(int)
    assert np.abs(images - 127.5).max() < 10


def saved(tmp_path, image, name="image.png", **options):
    image.save(tmp_path / name, **options)
    return np.asarray(decoding.open_image(str(tmp_path / name), name))


def test_transparency_becomes_white(tmp_path):
    rgba = np.zeros((8, 8, 4), np.uint8)
    rgba[:4] = (255, 0, 0, 255)
    expected = np.full((8, 8, 3), 255)
    expected[:4] = (255, 0, 0)
    np.testing.assert_array_equal(saved(tmp_path, Image.fromarray(rgba)), expected)
    palette = Image.fromarray(rgba[..., :3]).convert("P", palette=Image.Palette.ADAPTIVE)
    black = palette.getpixel((0, 7))
    result = saved(tmp_path, palette, transparency=black)
    np.testing.assert_array_equal(result, expected)


def test_sixteen_bit_grey_keeps_its_range(tmp_path):
    levels = np.linspace(0, 65535, 256).round().astype(np.uint16).reshape(16, 16)
    result = saved(tmp_path, Image.fromarray(levels))
    np.testing.assert_array_equal(result[..., 0].ravel(), np.arange(256))


def test_exif_orientation_is_applied(tmp_path):
    pixels = np.zeros((10, 20, 3), np.uint8)
    pixels[:, :10] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to view
    result = saved(tmp_path, Image.fromarray(pixels), exif=exif)
    assert result.shape == (20, 10, 3)
    assert result[:9].min() == 255 and result[11:].max() == 0


def test_animation_gives_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    result = saved(tmp_path, frames[0], "a.gif", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(result, np.broadcast_to((255, 0, 0), (8, 8, 3)))


def test_the_second_load_decodes_nothing(photos, monkeypatch):
    first = load(photos)

    def fail(*_):
        raise AssertionError("decoded again")

    monkeypatch.setattr(decoding, "open_image", fail)
    assert load(photos).fingerprint == first.fingerprint
    os.utime(photos / "00.png", (1, 1))
    with pytest.raises(AssertionError, match="decoded again"):
        load(photos)


def test_the_folder_itself_stays_untouched(photos):
    before = sorted(photos.rglob("*"))
    load(photos)
    assert sorted(photos.rglob("*")) == before


def test_a_changed_image_changes_the_fingerprint(photos, save_image):
    before = load(photos)
    save_image(photos / "00.png", 31, 40)
    assert load(photos).fingerprint != before.fingerprint


def test_hidden_and_other_files_are_no_images(photos):
    for name in ("._00.png", ".hidden/a.png", "notes.txt"):
        (photos / name).parent.mkdir(exist_ok=True)
        (photos / name).write_text("not an image")
    assert len(all_images(load(photos))) == 20


def test_missing_folder(tmp_path):
    assert "none does not exist" in refused(tmp_path / "none")


def test_not_a_folder(photos):
    assert "00.png is a file" in refused(photos / "00.png")


def test_no_images(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "a.txt").write_text("")
    assert "has no images" in refused(tmp_path / "empty")


def test_too_few_images(tmp_path, save_image):
    for number in range(9):
        save_image(tmp_path / "few" / f"{number}.png", 16, 16)
    message = refused(tmp_path / "few")
    assert "9 usable images" in message and "at least 10" in message
    save_image(tmp_path / "few" / "9.png", 16, 16)
    assert {k: len(v) for k, v in load(tmp_path / "few").splits.items()} == {
        "train": 8,
        "validation": 1,
        "test": 1,
    }


def test_wrong_size(photos):
    assert "image_size=15" in refused(photos, image_size=15)


def break_file(path, damage, save_image):
    if damage == "text":
        path.write_text("<html>404 not found</html>")
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "truncated":
        content = save_image(path, 100, 100).read_bytes()
        path.write_bytes(content[: len(content) // 2])
    elif damage == "small":
        save_image(path, 40, 7)
    elif damage == "dangling":
        path.symlink_to("nowhere.jpg")
    return path


@pytest.mark.parametrize("damage", ["text", "empty", "truncated", "small", "dangling"])
@pytest.mark.parametrize("ending", ["jpg", "png", "webp"])
def test_a_broken_image_is_named_with_the_remedy_or_skipped(
    photos, damage, ending, save_image, warnings_logged
):
    sound = load(photos)
    broken = break_file(photos / "deep" / f"broken.{ending}", damage, save_image)
    message = refused(photos)
    assert str(broken) in message and "--skip_broken" in message
    if damage == "small":
        assert "40x7" in message and "at least 8" in message
    for _ in range(2):  # decoded, then from the cache
        dataset = load(photos, skip_broken=True)
        assert dataset.provenance["skipped"] == 1
        np.testing.assert_array_equal(all_images(dataset), all_images(sound))
    assert len(warnings_logged) == 2
    assert all(f"broken.{ending}" in line and "1 image" in line for line in warnings_logged)
    assert refused(photos) == message  # what was skipped once is no excuse later


def test_at_most_three_skipped_images_are_named(photos, save_image, warnings_logged):
    for number in range(5):
        break_file(photos / f"broken{number}.jpg", "text", save_image)
    assert load(photos, skip_broken=True).provenance["skipped"] == 5
    assert warnings_logged[0].count("broken") == 3 and "5 images" in warnings_logged[0]


def test_all_broken(tmp_path, save_image):
    (tmp_path / "bad").mkdir()
    for number in range(12):
        break_file(tmp_path / "bad" / f"{number}.jpg", "text", save_image)
    assert "none of the 12 images" in refused(tmp_path / "bad", skip_broken=True)


def test_too_few_left_after_skipping(tmp_path, save_image):
    for number in range(12):
        save_image(tmp_path / "bad" / f"{number}.jpg", 16, 16)
    for number in range(3):
        break_file(tmp_path / "bad" / f"{number}.jpg", "text", save_image)
    assert "9 usable images" in refused(tmp_path / "bad", skip_broken=True)
