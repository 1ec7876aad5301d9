"""How the plugin's own modules are imported: not through pytest's rewriting of assertions, which takes as long."""

from __future__ import annotations

import sys
import types
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder


class OwnFinder:
    """Finds the modules of this package, in front of the finder with which pytest rewrites those of every plugin."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where a module of this package is; ``None`` for any other: see PEP 451."""
        return PathFinder.find_spec(name, path, target) if name.startswith("pytest_concur.") else None


def find_own_modules_first() -> None:
    """From now on modules of this package are imported as they are."""
    if OwnFinder not in sys.meta_path:
        sys.meta_path.insert(0, OwnFinder)


def find_own_modules_as_before() -> None:
    """Undo that."""
    if OwnFinder in sys.meta_path:
        sys.meta_path.remove(OwnFinder)
