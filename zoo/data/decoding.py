"""From image files to uint8 arrays, many at a time."""

from __future__ import annotations

import os
import stat
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any

import numpy as np
from PIL import ExifTags, Image, ImageFile, ImageOps, UnidentifiedImageError
from tqdm import tqdm

from zoo.data.cache import Append
from zoo.data.listing import tally
from zoo.errors import UsageError
from zoo.pictures import to_image

DECODER_VERSION = 2  # part of every cache key: raise it when decoded pixels change
BATCH = 256  # files in flight; chosen
QUIET_BELOW = 2000  # files that decode in a few seconds need no progress bar; chosen

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}  # by channels

# How Pillow widens fewer bits of grey, but not the level that a PNG calls transparent.
_SPREAD = {"L;2": 85, "L;4": 17}
_PHOTOMETRIC = 262  # tag of a TIFF; 0 where white is zero, which Pillow keeps to in 8 bits only

SKIP_REMEDY = "replace or remove it, or leave such files out with --skip_broken"


class BrokenImage(UsageError):
    """An image file that is of no use.

    Attributes:
        what: is wrong with it.
        reason: how a line calls several of them.
    """

    def __init__(self, what: str, reason: str = "images that cannot be decoded"):
        super().__init__(f"{what}: {SKIP_REMEDY}")
        self.what, self.reason = what, reason


def open_image(source: str | IO[bytes], label: str, channels: int = 3) -> Image.Image:
    """The first frame of an image file, upright, in 8 bits a channel.

    Sixteen bits keep their higher eight. Colours are taken as sRGB, inks and L*a*b* brought there;
    grey is their luma (ITU-R 601). Without alpha, what is transparent lies on white.

    Args:
        source: a path or an open file.
        label: how error messages name the file.
        channels: 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA.

    Raises:
        BrokenImage: it is no regular file, cannot be decoded to the end, or has pixels without a
            known range: floats, signed numbers, and more than 16 bits.
    """
    try:
        if isinstance(source, str) and not stat.S_ISREG(os.stat(source).st_mode):
            raise ValueError("not a regular file")
        with Image.open(source) as image:
            rawmode = _rawmode(image)
            _forget_unused_exif(image)
            image.load()
            return _upright(_to_mode(image, rawmode, _MODES[channels]), image)
    except UnidentifiedImageError:
        reason = "not an image that Pillow knows"
    except Exception as error:  # Pillow's plugins answer damage with many kinds of exception.
        reason = " ".join(str(error).split()) or type(error).__name__
    raise BrokenImage(f"{label} cannot be decoded ({reason})")


def from_array(pixels: np.ndarray, channels: int) -> Image.Image:
    """An image of uint8 `[H, W, C]` as `open_image` gives one of a file."""
    return _to_mode(to_image(pixels), "", _MODES[channels])


def _rawmode(image: ImageFile.ImageFile) -> str:
    """How pixels lie in the file, as "L;4" for four bits of grey; known until they are loaded."""
    arguments = image.tile[0][3] if image.tile else ""
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ""


def _to_mode(image: Image.Image, rawmode: str, mode: str) -> Image.Image:
    key = image.info.get("transparency")  # a level, a colour or an index; or the alpha of each
    if image.mode.startswith(("I", "F")):
        image = _grey_of_many_bits(image, rawmode, key)
    elif key is not None and rawmode in _SPREAD:
        image.info["transparency"] = key * _SPREAD[rawmode]
    elif key is not None and rawmode.startswith("RGB;16"):
        image.info["transparency"] = tuple(level >> 8 for level in key)  # so are the pixels
    if image.mode in ("La", "RGBa"):
        image = image.convert(image.mode.replace("a", "A"))
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        if not mode.endswith("A"):
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB").convert(mode) if image.mode != "RGBA" else image.convert(mode)


def _grey_of_many_bits(image: Image.Image, rawmode: str, key: int | None) -> Image.Image:
    """Grey of 12 or 16 bits in 8, with alpha where the level `key` is transparent. Pillow's own
    conversion clips at 255, and so to white."""
    if image.mode == "F" or rawmode.startswith(("I;32", "I;16S")):
        raise ValueError("its pixels are floats, signed or of 32 bits, whose range is not known")
    levels = np.asarray(image).astype(np.int64)
    white = 4095 if rawmode == "I;12" else 65535
    if levels.min() < 0 or levels.max() > white:
        raise ValueError(f"its levels, {levels.min()} to {levels.max()}, exceed 0 to {white}")
    grey = levels if getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) != 0 else white - levels
    bands = [Image.fromarray((grey * 255 // white).astype(np.uint8))]
    if key is None:
        return bands[0]
    bands.append(Image.fromarray(np.where(levels == key, 0, 255).astype(np.uint8)))
    return Image.merge("LA", bands)


def _forget_unused_exif(image: Image.Image) -> None:
    """Keeps damage in a TIFF's groups of tags from its pixels, with which Pillow reads them."""
    if image.format == "TIFF":
        exif = image.getexif()
        for group in ExifTags.IFD:
            exif.pop(group, None)


def _upright(pixels: Image.Image, image: Image.Image) -> Image.Image:
    """`pixels` turned as the file they came from says; as they are where its EXIF is damaged."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # Pillow answers this damage too with many kinds of exception.
        return pixels
    pixels.info.clear()
    pixels.getexif()[ExifTags.Base.Orientation] = orientation
    return ImageOps.exif_transpose(pixels)


def crop_and_resize(image: Image.Image, crop: int, size: int) -> np.ndarray:
    """The central `crop` x `crop` square, resized to uint8 `[size, size, C]`.

    Pillow's BILINEAR filter widens with the factor of a reduction, so the result is antialiased.
    """
    left, top = (image.width - crop) // 2, (image.height - crop) // 2
    square = image.crop((left, top, left + crop, top + crop))
    resized = square.resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(resized).reshape(size, size, -1)


def decode_all(
    names: Sequence[str],
    read: Callable[[str], np.ndarray],
    append: Append,
    *,
    skip_broken: bool,
    labels: np.ndarray | None = None,
) -> dict[str, str]:
    """Decodes files in order on all cores (Pillow releases the GIL) and appends them in batches.

    Args:
        names: the files, as `read` takes them.
        read: file to uint8 `[H, W, C]`; raises `BrokenImage` for a broken one.
        append: receives uint8 `[n, H, W, C]` and the labels, or None.
        skip_broken: leave broken files out.
        labels: int64, one for each of the names.

    Returns:
        The names that were left out, each with its reason.

    Raises:
        BrokenImage: the first broken file, or, with `skip_broken`, all of them are broken.
    """

    def attempt(name: str) -> np.ndarray | BrokenImage:
        try:
            return read(name)
        except BrokenImage as error:
            return error

    skipped = {}
    progress = tqdm(
        total=len(names), desc="decoding", unit="image", disable=len(names) < QUIET_BELOW or None
    )
    with ThreadPoolExecutor(os.cpu_count()) as pool, progress, warnings.catch_warnings():
        # What Pillow has to say of metadata: it is not used.
        warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
        for start in range(0, len(names), BATCH):
            batch, images, rows = names[start : start + BATCH], [], []
            results = zip(batch, pool.map(attempt, batch), strict=True)
            for row, (name, result) in enumerate(results, start):
                if not isinstance(result, BrokenImage):
                    images.append(result)
                    rows.append(row)
                elif skip_broken:
                    skipped[name] = result.reason
                else:
                    raise result
            if images:
                append(np.stack(images), None if labels is None else labels[rows])
            progress.update(len(batch))
    if len(skipped) == len(names):
        raise UsageError(f"none of the {len(names)} images can be decoded: {attempt(names[0])}")
    return skipped


def skip_notes(skipped: Mapping[str, str]) -> dict[str, Any]:
    """What a cache entry remembers of the files that were left out, by name with their reasons."""
    left_out = tally((reason, name) for name, reason in skipped.items())
    return {"skipped": len(skipped), "left_out": left_out}
