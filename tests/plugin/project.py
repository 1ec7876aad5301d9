"""Run a small pytest project with the plugin installed and read back what a user, or a tool, would see.

Programs are texts, written beside the test that judges them. ``module`` puts the usual imports above such a text,
``run_project`` runs it in a fresh pytest process and reads ``--concur-json``, ``assert_passes`` and
``assert_fails`` hold the meaning of the two plain verdicts.

Nothing here reaches into the plugin: the exit code, the terminal output and the JSON report are all it knows.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields
from textwrap import dedent
from typing import Any

import pytest
from nursery import IS_POSSIBLE, Nursery

PROGRAM_STEM = "test_program"
PROGRAM_FILE = f"{PROGRAM_STEM}.py"
REPORT_FILE = "report.json"

_NURSERY = Nursery()

HANG_S = 120.0
"""Longest wait for one pytest process; whoever needs longer hangs."""

UNHURRIED = "--concur-seconds=30"
"""The number of schedules ends the search, so that a loaded machine gives the same verdict."""

WARNINGS_BESIDE_A_FAILURE = frozenset({"data-race", "lock-order"})
"""Kinds that only warn by default; a racy program may well show them beside its failure."""

USUAL_IMPORTS = """\
import os
import queue
import random
import sys
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import pytest


class Box:
    def __init__(self):
        self.x = 0


"""

ORIGINALS = """\
import _thread
import os
import queue
import sys
import threading
import time
from concurrent.futures import thread


def active_events():
    if not hasattr(sys, "monitoring"):
        return 0
    in_use = [tool for tool in range(6) if sys.monitoring.get_tool(tool)]
    return sum(sys.monitoring.get_events(tool) for tool in in_use)


def snapshot():
    functions = [
        threading.Barrier.wait, threading.Condition.notify, threading.Condition.wait, threading.Event.wait,
        threading.Semaphore.acquire, threading.Thread.join, threading.Thread.run, threading.Thread.start,
        threading.Timer.run, queue.Queue.get, queue.Queue.put, thread.ThreadPoolExecutor.submit,
    ]
    found = {function.__qualname__: function.__code__ for function in functions}
    for owner, name in [
        (threading, "Lock"), (threading, "RLock"), (threading, "Condition"), (threading, "Thread"), (queue, "Queue"),
        (queue, "SimpleQueue"), (time, "sleep"), (time, "monotonic"), (time, "perf_counter"), (time, "time"),
        (_thread, "allocate_lock"), (_thread, "start_new_thread"), (os, "_exit"),
    ]:
        found[f"{owner.__name__}.{name}"] = getattr(owner, name)
    for name in ("fork", "sched_getaffinity"):
        function = getattr(os, name, None)
        found[f"os.{name}"] = function
    if found["os.sched_getaffinity"]:
        found["cpu affinity"] = os.sched_getaffinity(0)
    found["switch interval"] = sys.getswitchinterval()
    found["trace functions"] = (sys.gettrace(), sys.getprofile(), threading.gettrace(), threading.getprofile())
    found["monitoring events"] = active_events()
    return found


AT_IMPORT = snapshot()


def left_patched():
    return sorted(name for name, value in snapshot().items() if value != AT_IMPORT[name])
"""
"""Text of a project module ``originals``; its ``left_patched()`` names what differs from the time of its import."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding as the JSON report tells it."""

    kind: str
    """One of the kinds of the public table, such as ``deadlock``."""

    summary: str
    """One line for people."""

    schedule: int | None
    """1-based index of the first failing schedule; sequential runs are not counted."""

    token: str
    """What ``--concur-replay`` takes."""

    preemptions: int
    """Switches away from a task that could have gone on, after minimization."""

    gil: str
    """``reachable`` or ``not-reached``."""

    sequential: bool
    """The finding happens in a sequential run as well."""


@dataclass(frozen=True, slots=True)
class MarkedTest:
    """One test as the JSON report tells it."""

    nodeid: str
    """pytest's name of the test."""

    verdict: str
    """``passed``, ``failed`` or ``inconclusive``."""

    findings: tuple[Finding, ...]
    """In the order of the report."""

    explored: Mapping[str, Any]  # Any: values of several JSON types
    """How the search went: schedules, complete, strategy, seed, seconds."""

    uncontrolled: tuple[Mapping[str, str], ...]
    """What escaped control, each with ``what`` and ``where``."""

    measurements: tuple[Mapping[str, Any], ...] = ()  # Any: values of several JSON types
    """What was measured, in the order of the body."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of the findings, in the order of the report."""
        return tuple(finding.kind for finding in self.findings)


@dataclass(frozen=True, slots=True)
class Result:
    """One pytest process that has ended."""

    exit: int
    """Its exit code."""

    output: str
    """Standard output and standard error, one after the other."""

    outcomes: Mapping[str, int]
    """pytest's own summary, such as ``{"passed": 2}``; empty if pytest printed none."""

    tests: tuple[MarkedTest, ...]
    """What the JSON report holds; empty if no report was written."""

    def test(self, name: str) -> MarkedTest:
        """Return the reported test whose node id ends with ``name``; fail if there is not exactly one."""
        found = [test for test in self.tests if test.nodeid.endswith(f"::{name}")]
        assert len(found) == 1, f"{name} is reported {len(found)} times\n{self.output}"
        return found[0]

    @property
    def only(self) -> MarkedTest:
        """The one reported test; fail if there is not exactly one."""
        assert len(self.tests) == 1, f"{len(self.tests)} tests are reported\n{self.output}"
        return self.tests[0]

    @property
    def verdict(self) -> str:
        """Verdict on the one reported test."""
        return self.only.verdict

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of findings of the one reported test."""
        return self.only.kinds

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Findings of the one reported test."""
        return self.only.findings


@dataclass(frozen=True, slots=True)
class Programs:
    """Several program files that one pytest process has run."""

    result: Result
    """The process."""

    files: Mapping[str, str]
    """Name of the file by what a reader calls the program."""

    def of(self, subject: str) -> tuple[MarkedTest, ...]:
        """Return the reported tests of one program, in the order of the report."""
        return tuple(test for test in self.result.tests if test.nodeid.startswith(f"{self.files[subject]}::"))

    def misjudged(self, is_right: Callable[[str, MarkedTest], bool]) -> dict[str, tuple[MarkedTest, ...]]:
        """Return what is reported of programs that do not have exactly one test, or one that is not right."""
        reported = {subject: self.of(subject) for subject in self.files}
        return {
            subject: tests for subject, tests in reported.items() if len(tests) != 1 or not is_right(subject, tests[0])
        }


def module(text: str) -> str:
    """Return the text of a test module: the usual imports and ``Box``, then ``text`` without its common indent."""
    return USUAL_IMPORTS + dedent(text).strip() + "\n"


def run_project(pytester: pytest.Pytester, text: str, *args: str, hang_s: float = HANG_S) -> Result:
    """Write ``text`` as the program file of the project and run pytest on it.

    Args:
        pytester: Owner of the project directory; files that are there already stay.
        text: The whole test module.
        args: Arguments for pytest. If none of them names the program file, it is added.
        hang_s: Kill pytest and fail after so many seconds.

    Raises:
        pytest.Pytester.TimeoutExpired: pytest did not end within ``hang_s``.
    """
    (pytester.path / PROGRAM_FILE).write_text(text, encoding="utf-8")
    return run_pytest(pytester, *args, hang_s=hang_s)


def run_programs(pytester: pytest.Pytester, texts: Mapping[str, str], *args: str) -> Programs:
    """Write each of ``texts`` as a program file and run one pytest process on them all.

    Args:
        pytester: Owner of the project directory.
        texts: Whole test modules by what a reader calls them.
        args: Arguments for pytest.

    Raises:
        pytest.Pytester.TimeoutExpired: pytest did not end within ``HANG_S``.
    """
    files = {subject: f"test_program_{number}.py" for number, subject in enumerate(texts)}
    for subject, text in texts.items():
        (pytester.path / files[subject]).write_text(text, encoding="utf-8")
    return Programs(run_pytest(pytester, *files.values(), *args), files)


def run_pytest(pytester: pytest.Pytester, *args: str, hang_s: float = HANG_S, fresh: bool = False) -> Result:
    """Run pytest on the project as it stands; like ``run_project``, without writing.

    If none of ``args`` names a program file, the one of ``run_project`` is added. ``fresh``: not in a fork.
    """
    report = pytester.path / REPORT_FILE
    report.unlink(missing_ok=True)
    if not any(arg.startswith(PROGRAM_STEM) for arg in args):
        args = (PROGRAM_FILE, *args)

    run = _run_fresh if fresh or not IS_POSSIBLE else _run_forked
    done = run(pytester, (f"--concur-json={REPORT_FILE}", *args), hang_s)

    return Result(
        exit=int(done.ret),
        output=f"{done.stdout}\n{done.stderr}",
        outcomes=_outcomes(done),
        tests=_reported(json.loads(report.read_text(encoding="utf-8"))) if report.exists() else (),
    )


def replay(pytester: pytest.Pytester, nodeid: str, token: str, *args: str) -> Result:
    """Run ``nodeid`` of the project as it stands under the schedule of ``token``, in a process with other hashes."""
    return run_pytest(pytester, nodeid, f"--concur-replay={token}", *args, fresh=True)


def _run_fresh(pytester: pytest.Pytester, args: tuple[str, ...], hang_s: float) -> pytest.RunResult:
    return pytester.runpytest_subprocess(*args, timeout=hang_s)


def _run_forked(pytester: pytest.Pytester, args: tuple[str, ...], hang_s: float) -> pytest.RunResult:
    out, err = pytester.path / "stdout", pytester.path / "stderr"
    for file in (out, err):
        file.write_bytes(b"")
    imported_before = "-Wignore:Module already imported:pytest.PytestAssertRewriteWarning"
    arguments = (f"--basetemp={pytester.path / 'basetemp'}", imported_before, *args)
    print("running in a fork: pytest", *arguments)
    began = time.perf_counter()
    try:
        code = _NURSERY.run(arguments, pytester.path, out, err, timeout_s=hang_s)
    except TimeoutError:
        raise pytester.TimeoutExpired(
            f"{hang_s} second timeout expired running: pytest {' '.join(arguments)}"
        ) from None
    texts = [file.read_text(encoding="utf-8").splitlines() for file in (out, err)]
    return pytest.RunResult(code, *texts, time.perf_counter() - began)


def passes(test: MarkedTest, warnings: Collection[str] = ()) -> bool:
    """Return whether ``test`` passed, all of it was controlled, and only ``warnings`` were found."""
    return test.verdict == "passed" and set(test.kinds) <= set(warnings) and test.uncontrolled == ()


def fails(test: MarkedTest, kinds: Collection[str]) -> bool:
    """Return whether ``test`` failed for one of ``kinds`` and for nothing else."""
    found = set(test.kinds)
    return test.verdict == "failed" and bool(found & set(kinds)) and found <= {*kinds, *WARNINGS_BESIDE_A_FAILURE}


def assert_passes(result: Result, warnings: Collection[str] = ()) -> None:
    """Check that the one marked test passed, that all of it was controlled, and that only ``warnings`` were found."""
    assert passes(result.only, warnings), result.output
    assert result.exit == pytest.ExitCode.OK, result.output


def assert_fails(result: Result, kinds: Collection[str]) -> Finding:
    """Check that the one marked test failed for one of ``kinds`` and for nothing else; return that finding."""
    assert fails(result.only, kinds), result.output
    assert result.exit == pytest.ExitCode.TESTS_FAILED, result.output
    finding = next(finding for finding in result.findings if finding.kind in kinds)
    assert finding.token.startswith("c1"), finding
    return finding


def _outcomes(run: pytest.RunResult) -> Mapping[str, int]:
    try:
        return run.parseoutcomes()
    except ValueError:  # no summary line: pytest ended before the session began
        return {}


def _reported(document: Mapping[str, Any]) -> tuple[MarkedTest, ...]:  # Any: a JSON document
    assert document["schema"] == 1
    return tuple(
        MarkedTest(
            nodeid=test["nodeid"],
            verdict=test["verdict"],
            findings=tuple(
                Finding(**{field.name: finding[field.name] for field in fields(Finding)})
                for finding in test["findings"]
            ),
            explored=test["explored"],
            uncontrolled=tuple(test["uncontrolled"]),
            measurements=tuple(test["measurements"]),
        )
        for test in document["tests"]
    )
