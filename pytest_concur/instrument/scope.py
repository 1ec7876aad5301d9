"""Which code is the user's, which is library code that blocks on the user's behalf, which is nobody's business."""

from __future__ import annotations

import os
import site
import sys
import sysconfig
import types
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Literal

from pytest_concur.instrument.collector import all_objects

Owner = Literal["user", "library", "package"]
"""``library``: standard modules that block on users' behalf. ``package``: what is installed beside the project."""

LIBRARY = frozenset({
    "threading", "queue", "concurrent.futures", "logging", "contextlib", "functools", "multiprocessing.pool",
    "multiprocessing.dummy", "multiprocessing.popen_fork", "multiprocessing.synchronize", "asyncio.threads",
    "asyncio.runners", "asyncio.base_events", "asyncio.selector_events", "asyncio.locks", "sched", "socketserver",
    "random", "secrets", "uuid", "subprocess", "multiprocessing.util", "http.cookiejar", "tempfile",
    "zipfile", "_threading_local", "socket", "selectors",
})  # fmt: skip
"""Standard modules whose blocking and whose chance are intercepted. Their own accesses are trusted: no points."""

_STDLIB = sysconfig.get_paths()["stdlib"] + "/"
_LIBRARY_PATHS = tuple(sorted(name.replace(".", "/") for name in LIBRARY))
_OURS = frozenset("pytest_concur _pytest pytest pluggy xdist execnet pytest_timeout coverage hypothesis".split())
_LEFT_ALONE = frozenset("bytecode gevent eventlet greenlet debugpy pydevd _pydevd_bundle _pydev_bundle".split())
"""Installed packages that work below the test, or beside it; so do plugins of pytest."""

OUR_FOLDER = str(Path(__file__).parents[1]) + os.sep
"""Where code lies that no test is about."""


class Scope:
    """Decides for a module whether its functions are instrumented, and how."""

    def __init__(self, roots: Iterable[Path], prefixes: Iterable[str], test_module: types.ModuleType) -> None:
        """
        Args:
            roots: Folders of the project; code below them is the user's, and so is an installed copy of it, but nothing
                else that is installed there.
            prefixes: Names of further modules or packages that are the user's.
            test_module: The test's own module: it is the user's, and so is what it imports, unless that is installed.
        """
        self._roots = tuple(str(root) + "/" for root in roots)
        self._installed = _installed_folders()
        self._test_module = test_module.__name__
        self._prefixes = self._imported_by(test_module).union(prefixes)
        self._by_module: dict[str, Owner | None] = {}
        self._by_file: dict[str, bool] = {}
        self._owned: dict[str, bool] = {}
        self._modules_seen = 0
        self.modules_at_scan = 0
        """How many modules there were when functions were looked for."""

        self._prefix_files: frozenset[object] = frozenset()

    def owner(self, module: str, filename: str) -> Owner | None:
        """Return whose code a function of ``module`` compiled from ``filename`` is."""
        if module not in self._by_module:
            self._by_module[module] = self._owner_of_module(module)
        found = self._by_module[module]
        if found in (None, "package") and self.is_project_file(filename) and not has_prefix(module, _OURS):
            return "user"  # compiled into another module's names
        return found

    def is_project_file(self, filename: str) -> bool:
        """Whether code compiled from this file is the project's own."""
        known = self._by_file.get(filename)
        if known is None:
            known = filename.startswith(self._roots) and not filename.startswith(self._installed)
            known = known and "-packages/" not in filename
            known = self._by_file[filename] = known or self._is_installed_copy(filename)
        return known

    def _is_installed_copy(self, filename: str) -> bool:
        """Whether a package was installed from the project itself, as tox does before it runs the tests."""
        if not _is_package_file(filename):
            return False
        top = _top_in_packages(filename)
        places = [f"{root}{folder}{top}" for root in self._roots for folder in ("", "src/")]
        return any(os.path.isfile(f"{place}{end}") for place in places for end in (".py", "/__init__.py"))

    def may_own(self, filename: str) -> bool:
        """Whether code compiled from this file belongs to someone, as far as can be told without its module.

        The module may have been imported late, while a run went on; but before its code starts.
        """
        known = self._owned.get(filename)
        if known is None:
            known = self._owned[filename] = (
                self.is_project_file(filename) or _is_library_file(filename) or filename in self._files_of_prefixes()
            )
        return known or (len(sys.modules) != self.modules_at_scan and _is_package_file(filename))

    def _files_of_prefixes(self) -> frozenset[object]:
        if len(sys.modules) != self._modules_seen:
            self._modules_seen = len(sys.modules)
            named = [module for name, module in list(sys.modules.items()) if has_prefix(name, self._prefixes)]
            self._prefix_files = frozenset(getattr(module, "__file__", None) for module in named)
        return self._prefix_files

    def _owner_of_module(self, module: str) -> Owner | None:
        if has_prefix(module, self._prefixes) or module == self._test_module:
            return "user"
        if has_prefix(module, LIBRARY):
            return "library"
        if has_prefix(module, _OURS):
            return None
        found = sys.modules.get(module)
        filename = getattr(found, "__file__", None)
        if not isinstance(filename, str):
            return None
        if self.is_project_file(filename):
            return "user"
        return "package" if _is_package_file(filename) else None

    def _imported_by(self, module: types.ModuleType) -> frozenset[str]:
        """Return the top-level names of what a module has imported and nobody has installed.

        A helper beside the project, or a package that is used from its sources, is the user's like the project itself.
        """
        names = {
            str(value.__name__ if isinstance(value, types.ModuleType) else getattr(value, "__module__", ""))
            for value in list(vars(module).values())
        }
        return frozenset(name.split(".")[0] for name in names if self._is_uninstalled(name))

    def _is_uninstalled(self, name: str) -> bool:
        filename = getattr(sys.modules.get(name), "__file__", None)
        if not isinstance(filename, str) or has_prefix(name, _OURS):
            return False
        if filename.startswith((_STDLIB, *self._installed)) or "-packages/" in filename:
            return False
        top = Path(str(getattr(sys.modules.get(name.split(".")[0]), "__file__", None) or filename))
        folder = top.parent.parent if top.stem == "__init__" else top.parent
        return next(folder.glob("*.dist-info"), None) is None  # else an installer was at work there (PEP 376)


def _is_package_file(filename: str) -> bool:
    """Whether the file is of a package that is installed and has a part in what tests do."""
    top = _top_in_packages(filename)
    return bool(top) and top not in _OURS and top not in _LEFT_ALONE and not top.startswith(("pytest", "_pytest"))


def _top_in_packages(filename: str) -> str:
    """Return the name of the top-level module of a file that is installed; empty if it is not."""
    _, folder, path = filename.rpartition("-packages/")
    return path.split("/")[0].removesuffix(".py") if folder else ""


def _is_library_file(filename: str) -> bool:
    return filename.startswith(_STDLIB) and filename.removeprefix(_STDLIB).startswith(_LIBRARY_PATHS)


def has_prefix(module: str, prefixes: Collection[str]) -> bool:
    """Whether ``module`` is one of ``prefixes`` or lies inside one."""
    while module not in prefixes:
        module, dot, _ = module.rpartition(".")
        if not dot:
            return False
    return True


def import_late_library() -> None:
    """Import what a loaded package would import when first used: its blocking must be intercepted from the start."""
    if "concurrent.futures" in sys.modules:
        import concurrent.futures.thread  # noqa: F401 - for its functions, which gc finds


def functions_in(scope: Scope) -> Iterator[tuple[types.FunctionType, Owner]]:
    """Yield every function object of the process that belongs to someone, closures and methods included."""
    scope.modules_at_scan = len(sys.modules)
    function_type = types.FunctionType
    functions = [thing for thing in all_objects() if type(thing) is function_type]  # of thousands of things
    owners: dict[tuple[str, str], Owner | None] = {}
    for function in functions:
        module = function.__globals__.get("__name__")
        if not isinstance(module, str):
            continue
        origin = module, function.__code__.co_filename
        if origin not in owners:
            owners[origin] = scope.owner(*origin)
        if owner := owners[origin]:
            yield function, owner


@cache
def _installed_folders() -> tuple[str, ...]:
    folders = {*site.getsitepackages(), site.getusersitepackages(), *sysconfig.get_paths().values()}
    return tuple(
        f"{folder.rstrip('/')}/" for folder in folders if folder and folder not in {sys.prefix, sys.base_prefix}
    )
