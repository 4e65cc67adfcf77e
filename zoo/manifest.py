"""The manifest of an export or a pretrained model: the SHA-256 of each of its files, which every
loader of ours checks.

It tells damage, not forgery: who can change a file can change the manifest too.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from zoo.errors import UsageError
from zoo.files import read_json, write_json
from zoo.formats import FORMAT_VERSION, check_format

NAME = "assets.extra/manifest.json"  # where TF Serving reads nothing but what it knows


def write_manifest(folder: Path, name: str = NAME) -> None:
    """Lists all files below `folder` as they are, the manifest apart, whose place is `name`."""
    files = {f.relative_to(folder).as_posix(): f for f in folder.rglob("*") if f.is_file()}
    hashes = {file: _sha256(files[file]) for file in sorted(files) if file != name}
    write_json(folder / name, {"format_version": FORMAT_VERSION, "sha256": hashes})


def check_manifest(folder: Path, name: str = NAME) -> bool:
    """Holds the files of a folder against its manifest; returns False where there is none.

    Raises:
        UsageError: a file is missing or altered, or the manifest is damaged.
    """
    file = folder / name
    if not file.exists():
        return False
    content = read_json(file)
    hashes = content.get("sha256") if isinstance(content, dict) else None
    if not isinstance(hashes, dict) or not all(isinstance(h, str) for h in hashes.values()):
        raise UsageError(f"{file} is not a manifest: expected `sha256` by file")
    check_format(content, file)
    root = folder.resolve()
    for path, expected in hashes.items():
        listed = folder / path
        if not listed.resolve().is_relative_to(root) or not listed.is_file():
            raise UsageError(f"{folder} is damaged: {path}, of its manifest, is no file in it")
        if _sha256(listed) != expected:
            raise UsageError(f"{folder} is damaged: {path} is not what its manifest says")
    return True


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while block := content.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
