"""Small file systems of their own, to be filled or only read."""

import contextlib
import os
import subprocess

import pytest


@contextlib.contextmanager
def disk(folder, size):
    """Mounts a new file system of so many bytes on a folder; what was there is hidden meanwhile."""
    if os.geteuid():
        pytest.skip("only root mounts file systems")
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def remount(folder, options):
    """Changes a mounted file system: `size=2m`, `ro`."""
    subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True)


def fill(folder, leave=0):
    """Leaves so many bytes free, rounded down to whole pages, by a hidden file of zeros."""
    state = os.statvfs(folder)
    free = state.f_bavail * state.f_frsize - leave
    (folder / ".ballast").write_bytes(bytes(max(0, free)))
