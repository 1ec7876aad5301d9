"""Same code, same seed, same run: whatever else the machine does meanwhile.

Programs of ``tests/programs`` run twice in fresh pytest processes with one seed, the second time while every processor
is kept busy. The two JSON reports must agree in all but ``explored.seconds``: verdicts, schedules and switches counted,
findings with their tokens, notes. The two processes also differ in their string hashes, so an engine that walks a set
of names is caught; the programs themselves walk none.

Schedules end every search, never the clock, and no cache is kept: what one run remembers would help the next.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = Path(__file__).parent / "programs"
FOLDERS = ("deadlock", "livelock", "racy", "safe")
ALL_PROGRAMS = tuple(f"{folder}/{path.stem}" for folder in FOLDERS for path in sorted((PROGRAMS / folder).glob("*.py")))

FEW = (
    "deadlock/dining_philosophers",
    "livelock/after_you_asleep",
    "racy/pool_map",
    "safe/condition_timeout",
)
"""Every folder, virtual time, a pool, tasks that go in circles."""

MANY = 50
"""Programs of one seed in the exhaustive run; three seeds draw nearly all of ``ALL_PROGRAMS`` at least once."""

SCHEDULES = 60
FEW_SCHEDULES = 6
"""Schedules of a program in the everyday run."""

STEPS = 20_000
FEW_STEPS = 1000
"""Steps of a run in the everyday run, which tasks that go in circles take to the end."""

UNHURRIED_S = 300
"""Longest search in one program: so long that the schedules end it."""

HANG_S = 900.0
"""Longest wait for one pytest process; whoever needs longer hangs."""

Report = Mapping[str, Any]  # Any: a JSON document


def test_few_programs_run_alike_on_a_busy_machine(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four programs give the same report twice, the second time with every processor busy."""
    assert differences_of_two_runs(FEW, 1, pytester, monkeypatch, FEW_SCHEDULES, FEW_STEPS) == {}


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", [2, 3, 4])
def test_many_programs_run_alike_on_a_busy_machine(
    seed: int, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifty programs give the same report twice, the second time with every processor busy."""
    programs = sorted(random.Random(seed).sample(ALL_PROGRAMS, MANY))

    assert differences_of_two_runs(programs, seed, pytester, monkeypatch) == {}


def test_first_difference_names_the_place() -> None:
    """A difference is told by the way to it, and the time taken is none."""
    one = {"verdict": "failed", "findings": [{"token": "c1a"}], "explored": {"seconds": 1.0, "schedules": 3}}
    other = {"verdict": "failed", "findings": [{"token": "c1b"}], "explored": {"seconds": 2.0, "schedules": 4}}

    assert first_difference(one, {**one, "explored": other["explored"]}) == "explored.schedules: 3 != 4"
    assert first_difference(one, other) == "findings[0].token: 'c1a' != 'c1b'"
    assert first_difference(one, {**one, "findings": []}) == "findings: 1 != 0 entries"
    assert first_difference(one, {**one, "explored": {"seconds": 9.0, "schedules": 3}}) is None


def differences_of_two_runs(
    programs: Collection[str],
    seed: int,
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    schedules: int = SCHEDULES,
    steps: int = STEPS,
) -> dict[str, str]:
    """Run ``programs`` twice and return the first difference between their reports, by program.

    Raises:
        pytest.Pytester.TimeoutExpired: pytest did not end within ``HANG_S``.
    """
    for program in programs:
        text = (PROGRAMS / f"{program}.py").read_text(encoding="utf-8")
        (pytester.path / file_name(program)).write_text(text, encoding="utf-8")

    monkeypatch.setenv("PYTHONHASHSEED", "1")
    alone = reports(seed, pytester, schedules, steps)
    monkeypatch.setenv("PYTHONHASHSEED", "2")
    with busy_processors():
        crowded = reports(seed, pytester, schedules, steps)

    assert set(alone) == set(crowded) == {file_name(program) for program in programs}
    found = {
        program: first_difference(alone[name], crowded[name]) for program in programs for name in [file_name(program)]
    }
    return {program: difference for program, difference in found.items() if difference is not None}


def file_name(program: str) -> str:
    """Return the name of the test file of ``program``; a racy program and its safe twin have one each."""
    return f"test_{program.replace('/', '_')}.py"


def reports(seed: int, pytester: pytest.Pytester, schedules: int, steps: int) -> dict[str, Report]:
    """Run pytest on the project and return what the JSON report says, by name of test file."""
    pytester.runpytest_subprocess(
        "-p",
        "no:cacheprovider",
        f"--concur-seed={seed}",
        f"--concur-schedules={schedules}",
        f"--concur-max-steps={steps}",
        f"--concur-seconds={UNHURRIED_S}",
        "--concur-json=report.json",
        timeout=HANG_S,
    )
    report = pytester.path / "report.json"
    tests = json.loads(report.read_text(encoding="utf-8"))["tests"]
    report.unlink()
    return {test["nodeid"].partition("::")[0]: test for test in tests}


@contextmanager
def busy_processors() -> Iterator[None]:
    """Keep every processor that this process may use busy with a process of its own."""
    processors = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in processors]
    try:
        if hasattr(os, "sched_setaffinity"):
            # the plugin keeps to one processor; left to the system, the burners might all move to the others
            for burner, processor in zip(burners, processors, strict=True):
                os.sched_setaffinity(burner.pid, {processor})
        yield
    finally:
        for burner in burners:
            burner.kill()
        for burner in burners:
            burner.wait()


def first_difference(one: object, other: object, place: str = "") -> str | None:
    """Return where two reports of a test differ first, and how; ``None`` if only in the time they took."""
    if place == "explored.seconds" or one == other:
        return None
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        parts = [(one[key], other[key], f"{place}.{key}" if place else key) for key in one]
    elif isinstance(one, list) and isinstance(other, list):
        if len(one) != len(other):
            return f"{place}: {len(one)} != {len(other)} entries"
        parts = [
            (mine, theirs, f"{place}[{index}]") for index, (mine, theirs) in enumerate(zip(one, other, strict=True))
        ]
    else:
        return f"{place}: {one!r} != {other!r}"
    return next((found for part in parts if (found := first_difference(*part))), None)
