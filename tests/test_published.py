"""Published benchmark programs, written anew: the buggy ones fail, their corrected twins never do.

``programs/published/buggy`` and ``fixed`` hold programs of the same names. How soon each strategy finds the bugs is
measured by ``tests/benchmarks/strategies.py``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent / "programs" / "published"
BUGGY = sorted(path.stem for path in (FOLDER / "buggy").glob("*.py"))
FIXED = sorted(path.stem for path in (FOLDER / "fixed").glob("*.py"))

LARGE = "reorder_50 or reorder_100 or twostage_50 or twostage_100"
"""Sizes with a hundred threads or so: seconds for a few schedules."""

DEEP = ("safestack", "qsort_mt")
"""Take thousands of schedules: only measured."""

PREEMPTIONS = {
    "account": 0, "bluetooth_driver": 1, "carter01": 1, "circular_buffer": 1, "deadlock01": 1, "lost_update": 1,
    "reorder_3": 1, "reorder_4": 1, "reorder_5": 1, "stack": 1, "stringbuffer": 2, "token_ring": 0, "twostage": 1,
    "work_steal_queue": 2, "wronglock": 1, "wronglock_3": 1,
}  # fmt: skip
"""Fewest preemptions with which the program fails, where they are known from iterative bounding on a model of it."""

UNLOCKED = (
    "bluetooth_driver lost_update reorder_3 reorder_10 reorder_20 wronglock wronglock_3 twostage_20 radbench_bug4 "
    "radbench_bug5 work_steal_queue goker_istio_8967 goker_kubernetes_80284"
).split()
"""Programs that access something without the lock that the others hold, or without any."""

HANG_S = 1500.0


def run(kind: str, names: list[str], *options: str) -> dict[str, dict[str, Any]]:  # Any: a JSON document
    """Run programs in one pytest process; return what the JSON report says of each, by the program's name."""
    report = Path(tempfile.mkdtemp()) / "report.json"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest"]
    files = [str(FOLDER / kind / f"{name}.py") for name in names]
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "CONCUR"))}
    done = subprocess.run(
        [*command, f"--rootdir={FOLDER}", "--import-mode=importlib", f"--concur-json={report}", *options, *files],
        cwd=FOLDER, env=environment, capture_output=True, text=True, timeout=HANG_S,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stdout + done.stderr
    tests = json.loads(report.read_text(encoding="utf-8"))["tests"]
    shutil.rmtree(report.parent)
    return {_name_of(test["nodeid"]): test for test in tests}


def _name_of(nodeid: str) -> str:
    name = nodeid.rpartition("::test_")[2]
    return name.partition("[")[2].rstrip("]") or name


def kinds(test: dict[str, Any]) -> list[str]:
    return [finding["kind"] for finding in test["findings"]]


def test_every_buggy_program_has_a_fixed_twin() -> None:
    """What is found in a program is found because of its bug."""
    assert set(BUGGY) <= set(FIXED)


def test_fixed_programs_pass() -> None:
    """Corrected programs, every seventh, pass, and nothing escapes control."""
    tests = run("fixed", FIXED[::7], "--concur-schedules=8", "--concur-seconds=60", f"-k=not ({LARGE})")

    assert {name: (test["verdict"], kinds(test)) for name, test in tests.items() if test["verdict"] != "passed"} == {}


@pytest.mark.exhaustive
@pytest.mark.parametrize("strategy", ["random", "pct", "pos", "urw", "surw", "dpor", "bounded", "auto"])
def test_fixed_programs_pass_long(strategy: str) -> None:
    """The same with 1,000 schedules of each strategy; the largest sizes with as many as a minute allows."""
    options = (f"--concur-strategy={strategy}", "--concur-schedules=1000", "--concur-seconds=60")
    tests = run("fixed", FIXED, *options)

    assert {name: (test["verdict"], kinds(test)) for name, test in tests.items() if test["verdict"] != "passed"} == {}


@pytest.mark.parametrize(
    "every", [pytest.param(1, marks=pytest.mark.exhaustive, id="all"), pytest.param(5, id="every fifth")]
)
def test_buggy_programs_fail_and_say_why(every: int) -> None:
    """The bugs are found within 1,000 schedules; accesses without a lock are named."""
    names = [name for name in BUGGY if name not in DEEP][::every]
    tests = run("buggy", names, "--concur-schedules=1000", "--concur-seconds=60", f"-k=not ({LARGE})")

    assert [name for name, test in tests.items() if test["verdict"] != "failed"] == []
    assert [name for name in UNLOCKED if name in tests and "data-race" not in kinds(tests[name])] == []


@pytest.mark.exhaustive
def test_failures_come_down_to_the_fewest_preemptions() -> None:
    """Nine in ten reach the known minimum: minimization is a search with a budget of 60 runs."""
    names = sorted({name for name in BUGGY for known in PREEMPTIONS if known.startswith(name)})
    reached = tried = 0
    for strategy in ("auto", "surw", "pos"):
        tests = run("buggy", names, f"--concur-strategy={strategy}", "--concur-seconds=60", f"-k=not ({LARGE})")
        for name, known in PREEMPTIONS.items():
            tried += 1
            reached += tests[name]["findings"][0]["preemptions"] <= known

    assert reached / tried >= 0.9, (reached, tried)
