"""One module under two names.

The packages `flags` and `export` stand at the top of a checkout, and links in `zoo/` make them
`zoo.flags` and `zoo.export`: so they are called everywhere, and so they are installed. From the top
of a checkout they answer to their short names too, and are the same modules there.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import InspectLoader, Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import CodeType, ModuleType


class _Alias(MetaPathFinder, Loader):
    """Gives the modules below `name` as those below `zoo.name`, which are loaded but once."""

    def __init__(self, name: str) -> None:
        self._prefix = f"{name}."

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        real = find_spec(f"zoo.{name}") if name.startswith(self._prefix) else None
        if real is None:
            return None
        spec = ModuleSpec(name, self, origin=real.origin, loader_state=real)
        spec.has_location = real.has_location
        spec.submodule_search_locations = real.submodule_search_locations
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return import_module(spec.loader_state.name)

    def exec_module(self, module: ModuleType) -> None:
        ours = module.__spec__  # the import system has just put it there
        if ours is not None:
            module.__spec__ = ours.loader_state

    def get_code(self, name: str) -> CodeType | None:
        """For `python -m`."""
        real = find_spec(f"zoo.{name}")
        if real is None or not isinstance(real.loader, InspectLoader):
            return None
        return real.loader.get_code(real.name)


def alias(name: str) -> None:
    """Makes the package `name`, which is being imported, another name of `zoo.name`."""
    sys.meta_path.insert(0, _Alias(name))
    sys.modules[name] = import_module(f"zoo.{name}")
