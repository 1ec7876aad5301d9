"""What the measuring tests of one session share: stored sessions, tests that run again at its end, updates."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_concur.errors import ConcurrencyUsageError
from pytest_concur.model.verdict import TestResult

if TYPE_CHECKING:
    from pytest_concur.measure.baselines import Baselines, Update
    from pytest_concur.session.judging import Judged, Suspect

UPDATES = ("append", "replace")
SESSIONS = 5
"""Fresh processes that measure for a baseline."""

MACHINE_EVENT_TESTS, MACHINE_EVENT_SHARE = 4, 0.2
"""So many compared tests, and such a part of them, that are slower at once are the machine's doing."""

_LEFT_OUT = frozenset(
    "-x --exitfirst --lf --last-failed --ff --failed-first --nf --new-first --sw --stepwise --pdb --trace -v -vv -s "
    "--concur-update-baselines --concur-measure-under-xdist".split()
)
"""Arguments that a fresh process must not get: they are about which tests run, how, and what is reported."""

_LEFT_OUT_WITH_VALUE = frozenset(
    "-n --numprocesses --maxprocesses --dist --tx -k -m --junitxml --junit-xml --maxfail --durations --report-log "
    "--concur-json --concur-replay --concur-baseline-sessions".split()
)


@dataclass(frozen=True, slots=True)
class Postponement:
    """A test that runs again at the end of the session."""

    result: TestResult
    """What is known of it already."""

    suspects: Sequence[Suspect]
    """Why."""


class MeasuredSession:
    """One pytest session, as far as it measures."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._baselines: Baselines | None = None
        self.protocol_of: str | None = None
        """The test whose reports this plugin holds back until it is known whether it has to run again."""

        self._postponed: dict[str, Postponement] = {}
        self._compared: dict[str, bool] = {}
        self.told: list[str] = []
        """Lines about baselines for the end of the session."""

    # ---- settings ----

    @property
    def update(self) -> Update | None:
        """How baselines are to be updated, if they are."""
        given = self._config.getoption("concur_update_baselines", None)
        if given is None:
            return None
        if given not in UPDATES:
            raise ConcurrencyUsageError(
                f"--concur-update-baselines={given!r}: allowed: {', '.join(UPDATES)}\n"
                "  a test's name after it needs '=append' in between, or the test first"
            )
        return "append" if given == "append" else "replace"

    @property
    def sessions(self) -> int:
        """How many fresh processes measure for a baseline."""
        text = self._config.getoption("concur_baseline_sessions", None)
        if text is None:
            return SESSIONS
        if not text.isdigit() or int(text) < 1:
            raise ConcurrencyUsageError(f"--concur-baseline-sessions={text!r}: allowed: an integer of at least 1")
        return int(text)

    @property
    def is_recording(self) -> bool:
        """Whether this process is one of those that measure for a baseline: nothing else is done, nothing judged."""
        return self._config.getoption("concur_sessions_to", None) is not None

    @property
    def compares(self) -> bool:
        """Whether measurements are compared with stored sessions."""
        return self.update is None and not self.is_recording

    @property
    def is_worker(self) -> bool:
        return hasattr(self._config, "workerinput")

    @property
    def measures(self) -> bool:
        """Whether this process measures: not beside others that test or measure, unless asked for."""
        return not self.is_worker or bool(self._config.getoption("concur_measure_under_xdist", False))

    def baselines(self) -> Baselines:
        """Return the stored sessions."""
        if self._baselines is None:
            from pytest_concur.measure.baselines import Baselines

            self._baselines = Baselines(self.folder)
        return self._baselines

    @property
    def folder(self) -> Path:
        """Where they are stored."""
        config = self._config
        given = config.getoption("concur_baselines", None)
        if given:
            return config.invocation_params.dir / str(given)
        return config.rootpath / str(config.getini("concur_baselines") or ".concur/baselines")

    # ---- tests that run again at the end ----

    def postpone(self, result: TestResult, suspects: Sequence[Suspect]) -> bool:
        """Run a test again at the end of the session; false if this process cannot."""
        is_debugging = bool(self._config.getoption("usepdb", False))  # would stop at the exception that postpones
        is_ours = self.protocol_of == result.nodeid  # another plugin, one that runs failures again say, may have it
        if self.is_worker or is_debugging or not is_ours or result.nodeid in self._postponed:
            return False
        self._postponed[result.nodeid] = Postponement(result, suspects)
        return True

    def postponed(self, nodeid: str) -> Postponement | None:
        """Return what is known of a test that was postponed."""
        return self._postponed.get(nodeid)

    def note_compared(self, nodeid: str, is_suspect: bool) -> None:
        self._compared[nodeid] = is_suspect

    def is_machine_event(self) -> bool:
        """Whether so many tests look slower that it is the machine."""
        suspects = sum(self._compared.values())
        return suspects >= MACHINE_EVENT_TESTS and suspects > MACHINE_EVENT_SHARE * len(self._compared)

    # ---- baselines ----

    def record(self, nodeid: str, judged: Sequence[Judged]) -> None:
        """Append what was measured to the file of the process that asked for it."""
        from pytest_concur.measure.machine import environment

        assert self.is_recording, "called in a process that measures for a baseline"
        key = environment().key
        with open(self._config.getoption("concur_sessions_to"), "a", encoding="utf-8") as file:
            for each in judged:
                session = {"at": f"{date.today():%Y-%m-%d}", **each.measured.session}
                entry = [nodeid, each.measured.result.name, each.spec, key, session]
                file.write(json.dumps(entry) + "\n")

    def write_baselines(self, nodeids: Sequence[str]) -> bool:
        """Measure tests in fresh processes and store the sessions; false if something could not be stored."""
        update = self.update
        assert update is not None, "called on request"
        collected: dict[tuple[str, str, str, str], list[dict[str, Any]]] = {}
        for number in range(self.sessions):
            for entry in self._measure_in_fresh_process(nodeids, number):
                nodeid, name, spec, key, session = entry
                collected.setdefault((nodeid, name, spec, key), []).append(session)
        is_complete = set(nodeids) == {nodeid for nodeid, *_ in collected}
        for (nodeid, name, spec, key), sessions in sorted(collected.items()):
            is_complete &= self._store(nodeid, name, spec, key, sessions, update)
        for nodeid in sorted(set(nodeids) - {nodeid for nodeid, *_ in collected}):
            self.told.append(f"{nodeid}: not stored: it gave no measurement in a fresh process")
        return is_complete

    def _store(
        self, nodeid: str, name: str, spec: str, key: str, sessions: list[dict[str, Any]], update: Update
    ) -> bool:
        from pytest_concur.measure import judge

        problem = judge.disagreement(sessions)
        if problem:
            self.told.append(f"{nodeid} ({name}): not stored: {problem}; try again when the machine is quiet")
            return False
        before = self.baselines().stored(nodeid, name)
        self.baselines().write(nodeid, name, spec, key, sessions, update)
        then = judge.speedup_of(before.sessions.get(key, ()) if before is not None else ())
        now = judge.speedup_of(sessions)
        change = (
            "" if now is None else f", speedup {now:.2f}x" if then is None else f", speedup {then:.2f}x -> {now:.2f}x"
        )
        self.told.append(f"{nodeid} ({name}): {len(sessions)} sessions of {key} stored{change}")
        return True

    def _measure_in_fresh_process(self, nodeids: Sequence[str], number: int) -> list[Any]:
        config = self._config
        handle, path = tempfile.mkstemp(suffix=".sessions")
        os.close(handle)
        command = [
            sys.executable, "-m", "pytest", *options_to_pass_on(config.invocation_params.args, config.args),
            *(["-n", "0"] if config.pluginmanager.hasplugin("xdist") else []), "-m", "", "-q", "-p", "no:cacheprovider",
            f"--concur-sessions-to={path}", *nodeids,
        ]  # fmt: skip
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
        environment["PYTEST_ADDOPTS"] = ""
        try:
            done = subprocess.run(
                command, cwd=config.rootpath, env=environment, capture_output=True, text=True, check=False
            )
            lines = Path(path).read_text(encoding="utf-8").splitlines()
        finally:
            os.unlink(path)
        if done.returncode != 0:
            self.told.append(f"fresh process {number + 1} ended with exit code {done.returncode}: {_last(done)}")
        return [json.loads(line) for line in lines]


def options_to_pass_on(arguments: Sequence[str], tests: Sequence[str]) -> list[str]:
    """Return those of pytest's arguments without which a fresh process might find other settings.

    Args:
        arguments: As they were given.
        tests: Those among them that name files, folders and tests.
    """
    kept: list[str] = []
    skips_next = False
    for argument in arguments:
        name, _, value = argument.partition("=")
        if skips_next:
            skips_next = False
        elif name in _LEFT_OUT_WITH_VALUE:
            skips_next = not value
        elif (
            name not in _LEFT_OUT
            and argument not in tests
            and not name.startswith("--cov")
            and not (name.startswith("-n") and name[2:].isalnum())
        ):
            kept.append(argument)
    return kept


def _last(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return lines[-1] if lines else "no output"
