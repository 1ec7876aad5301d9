"""Stored sessions of measuring tests: one JSON file per test module, made to be reviewed.

A file holds, for each test and measurement, what the workload was (``spec``) and, for each environment, the last
sessions and one anchor: the session that stood when the baseline was last replaced, so that slow drift stays visible.
One session is one line. Writing is atomic and merges with what others have written meanwhile.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pytest_concur.errors import BaselineError
from pytest_concur.measure.machine import Environment

SCHEMA = 1
KEPT = 10
"""Sessions kept for one environment, the newest."""

_PARTIAL = ".partial-"
Session = Mapping[str, Any]
Update = Literal["append", "replace"]


@dataclass(frozen=True, slots=True)
class Stored:
    """What is stored of one measurement."""

    spec: str
    sessions: Mapping[str, Sequence[Session]]
    """By key of the environment, oldest first."""

    anchors: Mapping[str, Session] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Match:
    """What a measurement can be compared with."""

    sessions: tuple[Session, ...] = ()
    anchor: Session | None = None
    reason: str = ""
    """Why there is nothing to compare with, if so."""

    is_incomparable: bool = False
    """There are sessions, but of something else: other cores, another Python, another workload."""


def spec_of(**what: Any) -> str:
    """Return a short name for what a workload is."""
    return hashlib.sha1(json.dumps(what, sort_keys=True).encode(), usedforsecurity=False).hexdigest()[:12]


class Baselines:
    """The files under one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[Path, dict[str, Any]] = {}

    def path_of(self, nodeid: str) -> Path:
        """Return the file that holds the sessions of a test."""
        module = nodeid.partition("::")[0]
        return self._folder / Path(module).with_suffix(".json")

    def find(self, nodeid: str, name: str, spec: str, environment: Environment) -> Match:
        """Return what the measurement ``name`` of a test can be compared with in this environment.

        Raises:
            BaselineError: the file cannot be read, or is of another version.
        """
        stored = self.stored(nodeid, name)
        if stored is None:
            return Match(reason=f"no baseline for {environment.key}")
        if stored.spec != spec:
            return Match(reason="the workload changed since the baseline was written", is_incomparable=True)
        key = environment.key
        if sessions := stored.sessions.get(key):
            return Match(tuple(sessions), stored.anchors.get(key))
        if not stored.sessions:
            return Match(reason=f"no baseline for {key}")
        return Match(reason=_difference(environment, sorted(stored.sessions)), is_incomparable=True)

    def stored(self, nodeid: str, name: str) -> Stored | None:
        """Return what is stored of a measurement, in all environments."""
        path = self.path_of(nodeid)
        if path not in self._read:
            self._read[path] = _load(path)
        entry = self._read[path]["tests"].get(_test_of(nodeid), {}).get(name)
        return None if entry is None else _stored(entry)

    def write(
        self,
        nodeid: str,
        name: str,
        spec: str,
        environment: str,
        sessions: Sequence[Session],
        update: Update,
    ) -> None:
        """Add sessions to the file of a test, or put them in the place of what is there for this environment.

        Another spec than the stored one means another workload: then the sessions of all environments are dropped.

        Raises:
            BaselineError: the file cannot be read or written.
        """
        path = self.path_of(nodeid)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with _only_writer(path.parent):
                content = _load(path)
                entries = content["tests"].setdefault(_test_of(nodeid), {})
                entry = entries.get(name)
                if entry is None or entry["spec"] != spec:
                    entry = entries[name] = {"spec": spec, "environments": {}}
                mine = entry["environments"].get(environment)
                if mine is None or update == "replace":
                    mine = {"anchor": _middle(sessions), "sessions": []}
                kept = [*mine["sessions"], *sessions][-KEPT:]
                entry["environments"][environment] = {"anchor": mine["anchor"], "sessions": kept}
                _replace(path, render(content))
        except OSError as error:
            raise BaselineError(f"{path}: the baseline cannot be written: {error}") from error
        self._read.pop(path, None)


def render(content: Mapping[str, Any]) -> str:
    """Return a file's text: keys in order, one session on a line, so that a change shows as the lines that changed."""
    tests = {
        test: {
            name: {
                "spec": json.dumps(entry["spec"]),
                "environments": {
                    key: {"anchor": _line(stored["anchor"]), "sessions": [_line(each) for each in stored["sessions"]]}
                    for key, stored in entry["environments"].items()
                },
            }
            for name, entry in entries.items()
        }
        for test, entries in content["tests"].items()
    }
    return _block({"schema": str(content["schema"]), "tests": tests}, 0) + "\n"


def _block(value: Any, depth: int) -> str:
    """Return text for nested dictionaries and lists whose leaves are JSON already."""
    if isinstance(value, str):
        return value
    indent = " " * (depth + 1)
    if isinstance(value, list):
        parts, (left, right) = [f"{indent}{each}" for each in value], "[]"
    else:
        ordered = sorted(value.items())
        parts = [f"{indent}{json.dumps(key)}: {_block(each, depth + 1)}" for key, each in ordered]
        left, right = "{}"
    return f"{left}\n" + ",\n".join(parts) + f"\n{' ' * depth}{right}" if parts else left + right


def every_stored(folder: Path) -> Iterator[tuple[str, str, Stored]]:
    """Yield test, measurement and what is stored of it, for all files under ``folder``.

    Raises:
        BaselineError: a file cannot be read, or is of another version.
    """
    for path in sorted(folder.rglob("*.json")):
        module = path.relative_to(folder).with_suffix(".py").as_posix()
        for test, entries in _load(path)["tests"].items():
            for name, entry in entries.items():
                yield f"{module}::{test}", name, _stored(entry)


def _stored(entry: Mapping[str, Any]) -> Stored:
    environments = entry["environments"]
    return Stored(
        entry["spec"],
        {key: tuple(each["sessions"]) for key, each in environments.items()},
        {key: each["anchor"] for key, each in environments.items()},
    )


def _test_of(nodeid: str) -> str:
    return nodeid.partition("::")[2]


def _line(session: Session) -> str:
    return json.dumps(session, sort_keys=True)


def _middle(sessions: Sequence[Session]) -> Session:
    return sorted(sessions, key=lambda session: float(session["speedup"][1] if "speedup" in session else 0))[
        len(sessions) // 2
    ]


def _difference(environment: Environment, keys: Sequence[str]) -> str:
    """Say what the stored environments have other than this one."""
    here = environment.key.split("/")
    closest = min(keys, key=lambda key: sum(a != b for a, b in zip(here, key.split("/"), strict=False)))
    names = ("system", "Python", "GIL", "number of cores")
    other = [name for name, a, b in zip(names, here, closest.split("/"), strict=False) if a != b]
    return f"the baseline is of {closest}, this is {environment.key}: another {' and another '.join(other)}"


def _load(path: Path) -> dict[str, Any]:
    remedy = (
        "write it anew with --concur-update-baselines=replace after deleting it, or restore it from version control"
    )
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {"schema": SCHEMA, "tests": {}}
    except OSError as error:
        raise BaselineError(f"{path}: the baseline cannot be read: {error}\n  {remedy}") from error
    try:
        content = json.loads(text)
        schema = content["schema"]
    except (ValueError, KeyError, TypeError) as error:
        raise BaselineError(f"{path}: the baseline is damaged: {type(error).__name__}: {error}\n  {remedy}") from error
    if schema != SCHEMA:
        raise BaselineError(
            f"{path}: the baseline has schema {schema!r}, this version of pytest-concur knows {SCHEMA}\n"
            f"  update pytest-concur, or {remedy}"
        )
    try:
        for entries in content["tests"].values():
            for entry in entries.values():
                _check(entry)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise BaselineError(f"{path}: the baseline is damaged: {type(error).__name__}: {error}\n  {remedy}") from error
    assert isinstance(content, dict)
    return content


def _check(entry: Any) -> None:
    """Raise unless an entry has the parts that reading it needs."""
    str(entry["spec"])
    for each in entry["environments"].values():
        for session in (each["anchor"], *each["sessions"]):
            if not isinstance(session, dict):
                raise TypeError("a session is an object")


def _replace(path: Path, text: str) -> None:
    for left in path.parent.glob(f"{_PARTIAL}*"):  # of a writer that was killed: nobody else writes now
        with suppress(OSError):
            left.unlink()
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=_PARTIAL)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.chmod(partial, 0o644)
    os.replace(partial, path)


@contextmanager
def _only_writer(folder: Path) -> Iterator[None]:
    """Keep other processes from writing in a folder; the system lets go of the lock of a process that dies."""
    try:
        import fcntl
    except ImportError:  # Windows: the one process that sees all reports writes
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
