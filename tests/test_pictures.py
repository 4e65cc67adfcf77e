import matplotlib.figure
import numpy as np
import pytest
from PIL import Image

from zoo.figures import show_pixels
from zoo.pictures import captioned, grid, save_png, side_by_side


def flat(*values, channels=3, size=2):
    """One image of one grey value per argument."""
    return np.stack([np.full((size, size, channels), v, np.float32) for v in values])


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_captions_are_black_on_white_and_opaque(channels):
    images = flat(0.2, 0.4, channels=channels, size=16)
    canvas = captioned(images, images, ["a word that is far too long to fit", ""])
    assert canvas.shape == (2 * 64 + 16, 2 * 64 + 2, channels)
    words = canvas[128:]
    colour = words[..., : channels - 1] if channels in (2, 4) else words
    assert colour[:, :64].min() == 0 and colour[:, 66:].min() == 255
    if channels in (2, 4):
        assert words[..., -1].min() == 255
    assert (canvas[:128, :64] == 51).all() and (canvas[:128, 66:] == 102).all()


def test_grid_layout():
    canvas = grid(flat(0.0, 0.2, 0.4), columns=2, gap=1)
    expected = np.array(
        [
            [0, 0, 255, 51, 51],
            [0, 0, 255, 51, 51],
            [255, 255, 255, 255, 255],
            [102, 102, 255, 255, 255],
            [102, 102, 255, 255, 255],
        ]
    )
    assert canvas.dtype == np.uint8 and canvas.shape == (5, 5, 3)
    for channel in range(3):
        np.testing.assert_array_equal(canvas[..., channel], expected)


@pytest.mark.parametrize(
    ("count", "shape"), [(1, (2, 2)), (4, (6, 6)), (5, (6, 10)), (7, (10, 10))]
)
def test_grid_is_the_squarest(count, shape):
    assert grid(flat(*[0.5] * count)).shape == (*shape, 3)


def test_grid_rounds_and_clips():
    values = grid(flat(-0.5, 1.5, 0.5, 100.4 / 255), columns=4, gap=0)[0, ::2, 0]
    np.testing.assert_array_equal(values, [0, 255, 128, 100])


def test_side_by_side_puts_each_row_above_its_reconstructions():
    originals, reconstructions = flat(0.0, 0.2, 0.4), flat(0.6, 0.8, 1.0)
    rows = side_by_side(originals[:2], reconstructions[:2], columns=2)
    np.testing.assert_array_equal(rows[::4, ::4, 0], [[0, 51], [153, 204]])
    several = side_by_side(originals, reconstructions, columns=1)
    np.testing.assert_array_equal(several[::4, 0, 0], [0, 153, 51, 204, 102, 255])


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_round_trip(tmp_path, rng, channels):
    pixels = rng.integers(0, 256, (5, 7, channels), dtype=np.uint8)
    save_png(tmp_path / "new" / "a.png", pixels)
    with Image.open(tmp_path / "new" / "a.png") as image:
        read = np.asarray(image)
    np.testing.assert_array_equal(read.reshape(pixels.shape), pixels)


def test_png_scale_repeats_pixels(tmp_path, rng):
    pixels = rng.integers(0, 256, (2, 3, 3), dtype=np.uint8)
    save_png(tmp_path / "a.png", pixels, scale=4)
    with Image.open(tmp_path / "a.png") as image:
        np.testing.assert_array_equal(np.asarray(image), np.kron(pixels, np.ones((4, 4, 1))))


@pytest.mark.parametrize(
    ("pixel", "shown"),
    [
        ([9], (9, 9, 9, 255)),
        ([9, 4], (9, 9, 9, 4)),
        ([9, 8, 7], (9, 8, 7, 255)),
        ([9, 8, 7, 6], (9, 8, 7, 6)),
    ],
)
def test_pixels_of_any_channels_are_shown(pixel, shown):
    axis = matplotlib.figure.Figure().subplots()
    show_pixels(axis, np.full((3, 5, len(pixel)), pixel, np.uint8), "title")
    array = axis.images[0].get_array()
    np.testing.assert_array_equal(array, np.broadcast_to(np.uint8(shown), (3, 5, 4)))
