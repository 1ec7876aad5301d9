"""Rewritten code on disk, so that the second session pays almost nothing.

Key: the original code, the recipe, CPython's full version and ours. An entry is one file, written under another name
and then moved, so parallel sessions cannot tear it. A cache that cannot be read or written is as good as empty.
"""

from __future__ import annotations

import hashlib
import marshal
import os
import sys
import tempfile
import types
from pathlib import Path

from pytest_concur.instrument.rewrite import Recipe, Site, code_key, rewrite
from pytest_concur.instrument.written import nested

FORMAT = "36"
"""Changes whenever :mod:`pytest_concur.instrument` would write other code for the same recipe."""

MOST_ENTRIES = 20_000
"""A module's file that grew beyond this many entries starts anew."""


class CodeCache:
    """Rewrites code objects, or finds them rewritten already."""

    def __init__(self, folder: Path | None) -> None:
        """``folder``: where files are kept; ``None`` keeps nothing beyond this process."""
        self._folder = folder
        self._books: dict[str, dict[str, bytes]] = {}
        self._changed: set[str] = set()
        self.problem: str | None = None
        """Why files could not be written, if so."""

    def rewritten(self, code: types.CodeType, recipe: Recipe) -> types.CodeType:
        """Return ``code`` rewritten by ``recipe``, with placeholders."""
        book = self._book(code.co_filename)
        key = _key(code, recipe)
        stored = book.get(key)
        if stored is None:
            result = rewrite(code, recipe)
            book[key] = marshal.dumps(result)
            self._changed.add(code.co_filename)
            return result
        loaded = marshal.loads(stored)
        assert isinstance(loaded, types.CodeType)
        return loaded

    def open(self, code: types.CodeType) -> None:
        """Read what is stored for the file of ``code``, so that :meth:`rewritten` reads no file later."""
        self._book(code.co_filename)

    def save(self) -> None:
        """Write what is new; one file for each source file."""
        changed, self._changed = self._changed, set()
        if self._folder is None:
            return
        for filename in changed:
            try:
                self._write(filename)
            except OSError as error:
                self.problem = f"{self._folder}: {error.strerror or error}"
                self._folder = None
                return

    def _book(self, filename: str) -> dict[str, bytes]:
        book = self._books.get(filename)
        if book is None:
            book = self._books[filename] = self._read(filename)
        return book

    def _path(self, filename: str) -> Path:
        assert self._folder is not None
        name = hashlib.blake2b(f"{FORMAT} {sys.version} {filename}".encode(), digest_size=12).hexdigest()
        return self._folder / f"{name}.concur"

    def _read(self, filename: str) -> dict[str, bytes]:
        if self._folder is None:
            return {}
        try:
            book = marshal.loads(self._path(filename).read_bytes())
        except (OSError, ValueError, EOFError, TypeError):
            return {}
        return book if isinstance(book, dict) and len(book) < MOST_ENTRIES else {}

    def _write(self, filename: str) -> None:
        assert self._folder is not None
        self._folder.mkdir(parents=True, exist_ok=True)
        merged = {**self._read(filename), **self._books[filename]}
        handle, partial = tempfile.mkstemp(dir=self._folder, suffix=".partial")
        with os.fdopen(handle, "wb") as file:
            file.write(marshal.dumps(merged))
        os.replace(partial, self._path(filename))


def _key(code: types.CodeType, recipe: Recipe) -> str:
    rest = (
        recipe.flavour, recipe.granularity, recipe.has_points, recipe.is_quiet, recipe.is_lent,
        recipe.written.relevant_to(code) if recipe.has_points else (),
        _muted_in(code, recipe),
        _calling_in(code, recipe),
        sorted(recipe.globals_intercepted),
        len(recipe.methods_intercepted),
        sorted(recipe.roles.items()),
    )  # fmt: skip
    # version 2 of the format: later ones depend on how often a constant is referred to elsewhere in the process
    return hashlib.blake2b(marshal.dumps(code, 2) + repr(rest).encode(), digest_size=16).hexdigest()


def _calling_in(code: types.CodeType, recipe: Recipe) -> list[str]:
    keys = {code_key(each) for each in nested(code)} if recipe.calling else set()
    return sorted(repr(caller) for caller in recipe.calling if caller[0] in keys)


def _muted_in(code: types.CodeType, recipe: Recipe) -> list[Site]:
    keys = {code_key(each) for each in nested(code)} if recipe.muted else set()
    return sorted(site for site in recipe.muted if site[0] in keys)
