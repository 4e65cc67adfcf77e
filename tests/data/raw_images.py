"""PNG and TIFF files byte by byte, as their specifications have them: an oracle needs no Pillow."""

import struct
import zlib

import numpy as np

GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6  # PNG's colour types
WHITE_IS_ZERO, BLACK_IS_ZERO, TIFF_RGB, CMYK, YCBCR, LAB = 0, 1, 2, 5, 6, 8  # TIFF's photometric


def png(samples, depth, color_type, *chunks):
    """A PNG of samples `[H, W, C]` below 2**depth; chunks, as (b"tRNS", content), precede them."""
    height, width, _ = samples.shape
    rows = [b"\0" + packed(row.ravel(), depth) for row in samples]
    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(b"".join(rows))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in parts
    )


def packed(samples, depth):
    """Samples one after the other, each of so many bits, the highest first."""
    bits = (np.asarray(samples, np.int64)[:, None] >> np.arange(depth)[::-1]) & 1
    return np.packbits(bits.astype(np.uint8)).tobytes()


def tiff(samples, photometric, *, depth=None, extra=None, tags=()):
    """A TIFF of samples `[H, W, C]` in their own type, or unsigned of so many bits.

    `extra` tells what the channels beyond the colour are: 1 premultiplied alpha, 2 alpha. `tags`
    are more entries, as (number, value).
    """
    height, width, channels = samples.shape
    kind = {"u": 1, "i": 2, "f": 3}[samples.dtype.kind]
    if depth is None:
        depth, content = samples.dtype.itemsize * 8, samples.astype(samples.dtype.newbyteorder("<"))
        content = content.tobytes()
    else:
        content = b"".join(packed(row.ravel(), depth) for row in samples)
    entries = {256: [width], 257: [height], 258: [depth] * channels, 259: [1], 262: [photometric]}
    entries |= {277: [channels], 278: [height], 279: [len(content)], 339: [kind] * channels}
    entries |= {338: [extra]} if extra else {}
    entries |= {number: [value] for number, value in tags}
    first = 8 + 2 + 12 * (len(entries) + 1) + 4  # behind head and directory
    lists = {number: struct.pack(f"<{len(v)}I", *v) for number, v in entries.items() if len(v) > 1}
    entries[273] = [first + sum(map(len, lists.values()))]
    directory, behind = struct.pack("<H", len(entries)), b""
    for number, values in sorted(entries.items()):
        place = struct.pack("<I", values[0])
        if number in lists:
            place = struct.pack("<I", first + len(behind))
            behind += lists[number]
        directory += struct.pack("<HHI", number, 4, len(values)) + place
    return b"II*\0" + struct.pack("<I", 8) + directory + struct.pack("<I", 0) + behind + content
