"""Pixels of every kind of file, against what the formats' specifications say of their samples."""

import io
import struct
import zlib

import numpy as np
import PIL
import pytest
import tensorflow as tf
from PIL import Image

from tests.data.raw_images import (
    BLACK_IS_ZERO,
    CMYK,
    GREY,
    GREY_ALPHA,
    LAB,
    PALETTE,
    RGB,
    RGBA,
    TIFF_RGB,
    WHITE_IS_ZERO,
    YCBCR,
    png,
    tiff,
)
from zoo.data import decoding

SHAPE = (6, 5)


def decoded(content):
    return np.asarray(decoding.open_image(io.BytesIO(content), "label"))


def refused(content):
    with pytest.raises(decoding.BrokenImage) as raised:
        decoded(content)
    assert "\n" not in str(raised.value) and "--skip_broken" in str(raised.value)
    return str(raised.value)


def on_white(colors, alpha):
    """Floats [H, W, 3] of colours in 0..255 and alpha in 0..1, laid on white."""
    return colors * alpha + 255 * (1 - alpha)


def check(content, expected, atol=0):
    expected = np.broadcast_to(expected, (*SHAPE, 3))
    np.testing.assert_allclose(decoded(content).astype(int), expected, atol=atol)


@pytest.fixture
def samples(rng):
    """Samples [H, W, channels] of so many bits, the least and the greatest among them."""

    def draw(channels, depth):
        values = rng.integers(0, 2**depth, (*SHAPE, channels))
        values[0, 0], values[0, 1] = 0, 2**depth - 1
        return values

    return draw


# ---- PNG -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_grey(samples, depth):
    grey = samples(1, depth)
    check(png(grey, depth, GREY), grey * 255 // (2**depth - 1))


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("place", [(0, 0), (0, 1), (3, 3)])
def test_grey_with_a_transparent_level(samples, depth, place):
    grey = samples(1, depth)
    key = int(grey[place][0])
    content = png(grey, depth, GREY, (b"tRNS", struct.pack(">H", key)))
    check(content, np.where(grey == key, 255, grey * 255 // (2**depth - 1)))


@pytest.mark.parametrize("depth", [8, 16])
def test_grey_with_alpha(samples, depth):
    both = samples(2, depth) / (2**depth - 1)
    content = png(np.rint(both * (2**depth - 1)).astype(int), depth, GREY_ALPHA)
    check(content, on_white(255 * both[..., :1], both[..., 1:]), atol=1.5)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("alpha", [False, True])
def test_colours(samples, depth, alpha):
    all_samples = samples(4 if alpha else 3, depth)
    levels = all_samples / (2**depth - 1)
    expected = on_white(255 * levels[..., :3], levels[..., 3:] if alpha else 1)
    check(png(all_samples, depth, RGBA if alpha else RGB), expected, atol=1.5)


@pytest.mark.parametrize("depth", [8, 16])
def test_a_transparent_colour(samples, depth):
    colors = samples(3, depth)
    colors[2:4] = colors[2, 2]  # several pixels of one colour
    key = colors[2, 2]
    content = png(colors, depth, RGB, (b"tRNS", struct.pack(">HHH", *key)))
    clear = (colors == key).all(axis=-1, keepdims=True)
    assert clear.sum() == 10
    check(content, np.where(clear, 255, colors >> (depth - 8)))


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
@pytest.mark.parametrize("alphas", [None, "one", "several"])
def test_palette(samples, rng, depth, alphas):
    index, count = samples(1, depth), 2**depth
    palette = rng.integers(0, 256, (count, 3), np.uint8)
    alpha, chunks = np.full(count, 255, np.uint8), [(b"PLTE", palette.tobytes())]
    if alphas:
        alpha[:2] = (255, 0) if alphas == "one" else (128, 77)
        chunks.append((b"tRNS", alpha[:2].tobytes()))
    expected = on_white(palette[index[..., 0]].astype(float), alpha[index] / 255)
    check(png(index, depth, PALETTE, *chunks), expected, atol=1)


# ---- TIFF ----------------------------------------------------------------------------------------


BOTH = [(zero, depth) for zero in (BLACK_IS_ZERO, WHITE_IS_ZERO) for depth in (1, 4, 8, 16)]


@pytest.mark.parametrize(("zero", "depth"), [*BOTH, (BLACK_IS_ZERO, 12)])
def test_tiff_grey(samples, zero, depth):
    grey = samples(1, depth)
    light = grey if zero == BLACK_IS_ZERO else 2**depth - 1 - grey
    whole = {} if depth in (8, 16) else {"depth": depth}
    content = tiff(grey.astype("u1" if depth == 8 else "u2"), zero, **whole)
    check(content, light * 255 // (2**depth - 1))


@pytest.mark.parametrize("kind", ["u1", "u2"])
def test_tiff_colours(samples, kind):
    depth = 8 * np.dtype(kind).itemsize
    colors, both = samples(3, depth), samples(4, depth)
    top = 2**depth - 1
    check(tiff(colors.astype(kind), TIFF_RGB), 255 * colors / top, atol=1)
    laid = on_white(255 * both[..., :3] / top, both[..., 3:] / top)
    check(tiff(both.astype(kind), TIFF_RGB, extra=2), laid, atol=1.5)


def newer(content, expected, atol):
    """As `check`, of what Pillow reads from 13 on, which Python 3.10 does not have: before it the
    image is refused."""
    if int(PIL.__version__.split(".")[0]) >= 13:
        check(content, expected, atol=atol)
    else:
        with pytest.raises(decoding.BrokenImage, match="cannot be decoded"):
            check(content, expected, atol=atol)


def test_tiff_with_premultiplied_alpha(samples):
    both = samples(4, 8)
    both[..., 3] = np.maximum(both[..., 3], 100)  # below it eight bits have lost the colour
    colors, alpha = both[..., :3], both[..., 3:] / 255
    multiplied = np.concatenate([np.rint(colors * alpha), both[..., 3:]], axis=-1).astype("u1")
    check(tiff(multiplied, TIFF_RGB, extra=1), on_white(colors, alpha), atol=2.5)
    grey = multiplied[..., [0, 3]]
    newer(tiff(grey, BLACK_IS_ZERO, extra=1), on_white(colors[..., :1], alpha), atol=2.5)
    plain = np.concatenate([colors[..., :1], both[..., 3:]], axis=-1).astype("u1")
    check(tiff(plain, BLACK_IS_ZERO, extra=2), on_white(colors[..., :1], alpha), atol=1)


@pytest.mark.parametrize("kind", ["u1", "u2"])
def test_inks(samples, kind):
    top = 2 ** (8 * np.dtype(kind).itemsize) - 1
    inks = samples(4, 8 * np.dtype(kind).itemsize)
    light = 1 - inks / top
    check(tiff(inks.astype(kind), CMYK), 255 * light[..., :3] * light[..., 3:], atol=1.5)


def test_inks_of_a_jpeg_as_adobe_inverts_them():
    """A flat colour, by TensorFlow's own decoder."""
    image = Image.new("CMYK", (SHAPE[1], SHAPE[0]), (10, 200, 30, 40))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=100)
    assert b"Adobe" in file.getvalue()
    check(file.getvalue(), tf.io.decode_jpeg(file.getvalue(), channels=3).numpy(), atol=2)
    light = 1 - np.array([10, 200, 30, 40]) / 255
    check(file.getvalue(), 255 * light[:3] * light[3], atol=3)


def test_luma_and_chroma(samples):
    """ITU-R BT.601 over the full range, as in JPEG."""
    luma, blue, red = np.moveaxis(samples(3, 8).astype(float), -1, 0)
    blue, red = blue - 128, red - 128
    colors = [luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue]
    content = tiff(
        np.stack([luma, blue + 128, red + 128], axis=-1).astype("u1"), YCBCR, tags=[(530, 1)]
    )
    newer(content, np.clip(np.stack(colors, axis=-1), 0, 255), atol=1.5)


def test_lab(rng):
    """CIE L*a*b* of D50 to sRGB by Bradford's matrix, where the colour is inside of sRGB."""
    lightness = rng.integers(80, 180, SHAPE)
    a, b = rng.integers(-20, 20, (2, *SHAPE))
    stored = np.stack([lightness, a % 256, b % 256], axis=-1).astype("u1")
    y = (lightness / 255 * 100 + 16) / 116
    curve = np.stack([y + a / 500, y, y - b / 200], axis=-1)
    linear = np.where(curve > 6 / 29, curve**3, 3 * (6 / 29) ** 2 * (curve - 4 / 29))
    xyz = linear * [0.9642, 1.0, 0.8249]
    to_rgb = np.array(
        [
            [3.1338561, -1.6168667, -0.4906146],
            [-0.9787684, 1.9161415, 0.0334540],
            [0.0719453, -0.2289914, 1.4052427],
        ]
    )
    light = np.clip(xyz @ to_rgb.T, 0, 1)
    gamma = np.where(light > 0.0031308, 1.055 * light ** (1 / 2.4) - 0.055, 12.92 * light)
    check(tiff(stored, LAB), 255 * gamma, atol=4)


@pytest.mark.parametrize("kind", ["f4", "i2", "i4", "u4"])
def test_pixels_without_a_known_range_are_refused(samples, kind):
    content = tiff((samples(1, 8) / 255).astype(kind), BLACK_IS_ZERO)
    assert "whose range is not known" in refused(content)


@pytest.mark.parametrize(("most", "kind"), [(255, np.uint8), (65535, ">u2"), (1000, ">u2")])
def test_portable_greymaps(samples, most, kind):
    grey = samples(1, 16) * most // 65535
    content = b"P5 %d %d %d\n" % (SHAPE[1], SHAPE[0], most) + grey.astype(kind).tobytes()
    check(content, grey * 255 / most, atol=1)


# ---- Metadata ------------------------------------------------------------------------------------

PIXELS = np.arange(6 * 5 * 3, dtype=np.uint8).reshape(*SHAPE, 3)


def exif(*entries):
    """An EXIF block of (tag, type, count, value); the type 3 is a short, 4 a long."""
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + body + struct.pack("<I", 0)


TURN = (0x0112, 3, 1, 6)  # by 90 degrees clockwise to view
BROKEN = {
    "garbage": b"garbage and more of it",
    "empty": b"",
    "cut": exif(TURN)[:9],
    "far": b"II*\0\xff\xff\xff\x7f",
    "entries missing": exif(TURN)[:14],
}


def with_exif(kind, block):
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, kind, **({"lossless": True} if kind == "WEBP" else {}))
    content = file.getvalue()
    if kind == "PNG":
        return png(PIXELS.astype(int), 8, RGB, (b"eXIf", block))
    if kind == "JPEG":
        block = b"Exif\0\0" + block
        return content[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + content[2:]
    lossless = content[12:]
    size = struct.pack("<I", SHAPE[1] - 1)[:3] + struct.pack("<I", SHAPE[0] - 1)[:3]
    parts = b"VP8X" + struct.pack("<II", 10, 0x08) + size + lossless
    parts += b"EXIF" + struct.pack("<I", len(block)) + block + b"\0" * (len(block) % 2)
    return b"RIFF" + struct.pack("<I", len(parts) + 4) + b"WEBP" + parts


# Pillow warns of what it finds broken in a JPEG.
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
@pytest.mark.parametrize("block", BROKEN.values(), ids=BROKEN)
def test_broken_exif_costs_the_orientation_only(kind, block):
    sound = decoded(with_exif(kind, exif((0x0100, 3, 1, 5))))
    np.testing.assert_array_equal(decoded(with_exif(kind, block)), sound)
    if kind != "JPEG":
        np.testing.assert_array_equal(sound, PIXELS)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
@pytest.mark.parametrize("more", [[], [(0x8769, 4, 1, 2**31 - 1)], [(0x8825, 3, 1, 7)]])
def test_the_orientation_is_taken_from_whatever_else_is_broken(kind, more):
    """Groups of tags that lie nowhere."""
    sound = decoded(with_exif(kind, exif((0x0100, 3, 1, 5))))
    turned = decoded(with_exif(kind, exif(TURN, *more)))
    np.testing.assert_array_equal(turned, np.rot90(sound, -1))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientations_of_a_tiff(orientation):
    """Where the first row and column of the file are to be seen, by the table of the EXIF."""
    turned = decoded(tiff(PIXELS, TIFF_RGB, tags=[(0x0112, orientation)]))
    image = PIXELS.swapaxes(0, 1) if orientation > 4 else PIXELS
    upside_down, mirrored = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)
    image = image[::-1] if upside_down else image
    np.testing.assert_array_equal(turned, image[:, ::-1] if mirrored else image)


@pytest.mark.parametrize("group", [(0x8769, 2**31 - 1), (0x8825, 7), (0xA005, 2**31 - 1)])
def test_broken_groups_of_a_tiff(group):
    content = tiff(PIXELS, TIFF_RGB, tags=[(0x0112, 6), group])
    np.testing.assert_array_equal(decoded(content), np.rot90(PIXELS, -1))


def test_a_broken_text_with_exif_in_it():
    profile = b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n   4\nzz")
    content = png(PIXELS.astype(int), 8, RGB, (b"zTXt", profile))
    np.testing.assert_array_equal(decoded(content), PIXELS)
