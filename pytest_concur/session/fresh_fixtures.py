"""Tear a test's function-scoped fixtures down and set them up again, so that every run is a fresh world.

pytest has no public way to do this; what is used of its inside is kept in this module and in ``collected``.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

_OWN = frozenset({"concur", "request"})
_FAILURES = (Exception, pytest.fail.Exception)  # the second is none of the first


class FreshFixtures:
    """The function-scoped fixtures of one test item."""

    def __init__(self, item: pytest.Function, *, is_enabled: bool) -> None:
        self._item = item
        self._folder: object = None  # the last run's temporary one, while it is there
        self._is_method = isinstance(item.parent, pytest.Class)
        self._is_needed = is_enabled and (
            self._is_method
            or any(
                definition.scope == "function" and name not in _OWN and not _is_parameter(definition)
                for name, definitions in item._fixtureinfo.name2fixturedefs.items()
                for definition in definitions[-1:]
            )
        )

    def release_first(self) -> None:
        """Tear down what pytest has set up for the test already: the first run begins afresh, too.

        What a fixture finds wrong then is that the test has not run.
        """
        if self._is_needed:
            with suppress(*_FAILURES):
                self._tear_down()

    def call(self, call: Callable[[dict[str, Any]], Any]) -> Any:
        """Set up, call with the fixtures' values, tear down; errors of the call come before errors of the tear-down."""
        item = self._item
        if not self._is_needed:
            return call(self._arguments())
        self.remove_folder()
        try:
            if self._is_method:  # each run gets an instance of its own
                for name in ("_instance", "_obj"):
                    item.__dict__.pop(name, None)
            item._initrequest()
            item._request._fillfixtures()
            self._folder = item.funcargs.get("tmp_path")
            result = call(self._arguments())
        except BaseException as error:
            try:
                self._tear_down()
            except _FAILURES as late:
                error.add_note(f"and tearing the fixtures down raised {late!r}")
            raise
        self._tear_down()
        self.remove_folder()
        return result

    def keep_folder(self) -> None:
        """Leave the temporary folder of the last run, which failed, for those who want to look into it."""
        self._folder = None

    def remove_folder(self) -> None:
        """Remove the last run's temporary folder: a thousand runs had a thousand, and all are to have the same name."""
        folder, self._folder = self._folder, None
        if isinstance(folder, Path):
            shutil.rmtree(folder, ignore_errors=True)
            factory = getattr(self._item.config, "_tmp_path_factory", None)
            following: dict[str, int] = getattr(
                factory, "_next_number", {}
            )  # pytest 9.2 counts, 8.2 looks what is there
            for name, number in list(following.items()):
                if folder.name.lower() == f"{name}{number - 1}":
                    following[name] = number - 1

    def _arguments(self) -> dict[str, Any]:
        item = self._item
        return {name: item.funcargs[name] for name in item._fixtureinfo.argnames}

    def _tear_down(self) -> None:
        """Run the finalizers that the fixtures registered for this item, last first; the item's own stays."""
        finalizers, _ = self._item.session._setupstate.stack[self._item]
        noted = self._item.stash._storage  # by pytest once, behind the set-up, and dropped by fixtures: tmp_path
        before = dict(noted)
        errors: list[BaseException] = []
        while len(finalizers) > 1:
            finalizer = finalizers.pop()
            try:
                finalizer()
            except _FAILURES as error:
                errors.append(error)
        noted.update({key: value for key, value in before.items() if key not in noted})
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise BaseExceptionGroup("tearing fixtures down failed", errors)


def _is_parameter(definition: Any) -> bool:
    """Whether pytest made this fixture up to hand a value of ``parametrize`` on: there is nothing to set up."""
    return getattr(definition.func, "__name__", "") == "get_direct_param_fixture_func"
