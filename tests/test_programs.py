"""Whole programs get the verdict of the folder they lie in.

`programs/safe` is correct under every interleaving, also without a GIL; `racy`, `deadlock` and `livelock` fail in the
way of their name under some schedule, and `racy` never when tasks run one after another. A program in `racy` is the
buggy twin of the program of the same name in `safe`. Each is a test module as a user would write it, with one bare
marker; it is copied into a project of its own, and the command line gives strategy and budget.

Seeds derive from node ids, so runs repeat: a bug that is found once is found again.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from shares import share

pytest_plugins = ["pytester"]

PROGRAMS = Path(__file__).parent / "programs"
ALL_PROGRAMS = sorted(PROGRAMS.glob("*/*.py"))

QUICK_SCHEDULES = {"auto": 12, "random": 12, "pct": 12, "pos": 12, "urw": 12, "surw": 8, "dpor": 12, "bounded": 12}
"""Most schedules of a correct program in the everyday run; buggy programs end at their first failure anyway."""

EXHAUSTIVE_SCHEDULES = 2000
"""Most schedules of a program in the exhaustive run, and of a buggy one in every run."""

QUICK_STEPS = 5000
"""Most steps of a run in the folder runs: a livelock takes as many, again and again; no other program needs them."""

UNHURRIED_S = 60
"""Longest search in one program: so long that the schedules end it, and a loaded machine gives the same verdict."""

HANG_S = 900.0
"""Longest wait for one pytest process; whoever needs longer hangs."""

WARNINGS = frozenset({"data-race", "lock-order"})
"""Kinds that only warn by default."""

UNLOCKED = {
    "safe": {"double_checked_lock", "spin_flag", "spin_sleep"},
    "racy": {
        "dict_iteration", "double_checked_lock", "event_gate", "global_counter", "memo_cache", "observed_total",
        "once_initializer", "pool_map", "read_write_lock", "semaphore_mutex", "shared_generator", "thread_subclass",
        "trylock_backoff",
    },
}  # fmt: skip
"""Programs with an access without a lock: on purpose, or as their bug; other racy ones lock each access, but not all
that belongs together."""


@dataclass(frozen=True, slots=True)
class Deserved:
    """What programs of one folder deserve."""

    verdict: str
    """``passed`` or ``failed``."""

    kinds: frozenset[str] = frozenset()
    """Kinds that tell what is wrong with them; at least one of them, and no other, must be found."""

    def agrees(self, verdict: str, kinds: Collection[str]) -> bool:
        """Return whether ``verdict``, reached for findings of ``kinds``, is the deserved one."""
        failures = set(kinds) - WARNINGS
        return verdict == self.verdict and failures <= self.kinds and bool(failures) == bool(self.kinds)


DESERVED = {
    "safe": Deserved("passed"),
    "racy": Deserved("failed", frozenset({"assertion", "exception", "nondeterminism"})),
    "deadlock": Deserved("failed", frozenset({"deadlock"})),
    "livelock": Deserved("failed", frozenset({"livelock"})),
}

STRATEGIES = ("auto", "random", "pct", "surw", "pos", "urw", "dpor", "bounded")
EVERYDAY = [("safe", "auto"), ("racy", "auto"), ("deadlock", "auto"), ("livelock", "random")]
"""Folders with strategies that every run takes; runs that end in a livelock are long."""


@pytest.mark.parametrize("program", ALL_PROGRAMS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_program_is_one_marked_test_of_its_name(program: Path) -> None:
    """One sentence describes a program, and its one test bears its name and the bare marker."""
    module = ast.parse(program.read_text(encoding="utf-8"))
    tests = [node for node in module.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]

    assert [test.name for test in tests] == [f"test_{program.stem}"]
    assert [ast.unparse(decorator) for decorator in tests[0].decorator_list] == ["pytest.mark.concurrency"]
    sentence = ast.get_docstring(module)
    assert sentence is not None
    assert "\n" not in sentence
    assert sentence.endswith(".")


def test_every_racy_program_has_a_safe_twin() -> None:
    """What is found in a racy program is found because of its bug: the program without the bug passes."""
    assert names_in("racy") <= names_in("safe")


@pytest.mark.parametrize(
    ("folder", "strategy", "part"),
    [
        *(pytest.param(folder, strategy, share, id=f"{folder}-{strategy}-a third") for folder, strategy in EVERYDAY),
        *(
            pytest.param(folder, strategy, list, id=f"{folder}-{strategy}-all", marks=pytest.mark.exhaustive)
            for folder in ("safe", "racy", "deadlock", "livelock")
            for strategy in STRATEGIES
        ),
    ],
)
def test_folder_is_the_verdict(
    folder: str, strategy: str, part: Callable[[Sequence[Path]], list[Path]], pytester: pytest.Pytester
) -> None:
    """All programs of a folder, run by one pytest, get its verdict: none of them spoils the next one."""
    if (folder, strategy) == ("livelock", "dpor"):
        pytest.skip("it lets nobody wait in a loop for long, so that it finds some livelocks only")
    programs = part([program for program in ALL_PROGRAMS if program.parent.name == folder])
    schedules = QUICK_SCHEDULES[strategy] if folder == "safe" else EXHAUSTIVE_SCHEDULES

    assert misjudged(programs, strategy, schedules, pytester, f"--concur-max-steps={QUICK_STEPS}") == {}
    if strategy == "auto" and folder in UNLOCKED:
        races = {name_of(test) for test in reported(pytester) if "data-race" in kinds_of(test)}
        orders = {name_of(test) for test in reported(pytester) if "lock-order" in kinds_of(test)}
        assert orders == set()
        unlocked = UNLOCKED[folder] & {program.stem for program in programs}
        assert races == unlocked if folder == "safe" else races >= unlocked


@pytest.mark.exhaustive
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("program", ALL_PROGRAMS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_program_gets_its_verdict_alone(program: Path, strategy: str, pytester: pytest.Pytester) -> None:
    """A program in a pytest run of its own gets the verdict of its folder after many schedules."""
    if (program.parent.name, strategy) == ("livelock", "dpor"):
        pytest.skip("it lets nobody wait in a loop for long, so that it finds some livelocks only")
    assert misjudged([program], strategy, EXHAUSTIVE_SCHEDULES, pytester) == {}


def misjudged(
    programs: Collection[Path], strategy: str, schedules: int, pytester: pytest.Pytester, *args: str
) -> dict[str, str | None]:
    """Run ``programs``, all of one folder, in one pytest process and return those that got a wrong verdict.

    Returns:
        The verdict and its reasons by name of program; ``None`` for a program that is missing in the report.

    Raises:
        pytest.Pytester.TimeoutExpired: pytest did not end within ``HANG_S``.
    """
    [folder] = {program.parent.name for program in programs}
    deserved = DESERVED[folder]
    for program in programs:
        (pytester.path / f"test_{program.name}").write_text(program.read_text(encoding="utf-8"), encoding="utf-8")

    run = pytester.runpytest_subprocess(
        f"--concur-strategy={strategy}",
        f"--concur-schedules={schedules}",
        f"--concur-seconds={UNHURRIED_S}",
        "--concur-json=report.json",
        *args,
        timeout=HANG_S,
    )

    tests = {name_of(test): test for test in reported(pytester)}
    wrong: dict[str, str | None] = {program.stem: None for program in programs if program.stem not in tests}
    wrong |= {name: described(test) for name, test in tests.items() if not is_judged(test, deserved, schedules)}
    if not wrong:
        run.assert_outcomes(**{deserved.verdict: len(programs)})
    return wrong


Test = Mapping[str, Any]  # Any: a JSON document


def reported(pytester: pytest.Pytester) -> list[Test]:
    """Return the tests of the report that the last pytest process has left."""
    tests: list[Test] = json.loads((pytester.path / "report.json").read_text(encoding="utf-8"))["tests"]
    return tests


def name_of(test: Test) -> str:
    name: str = test["nodeid"]
    return name.partition(".py::")[0].removeprefix("test_")


def kinds_of(test: Test) -> list[str]:
    return [finding["kind"] for finding in test["findings"]]


def is_judged(test: Test, deserved: Deserved, schedules: int) -> bool:
    """Return whether ``test`` has the deserved verdict, and a pass was not given before the search was over."""
    explored = test["explored"]
    is_through = any("no schedule is left" in note for note in test["notes"])
    is_long = explored["complete"] or explored["schedules"] >= schedules or is_through
    return (deserved.verdict == "failed" or is_long) and deserved.agrees(test["verdict"], kinds_of(test))


def described(test: Test) -> str:
    """Return verdict, extent of the search, findings and what escaped control, in a line."""
    findings = [f"{finding['kind']}: {finding['summary']}" for finding in test["findings"]]
    return f"{test['verdict']} after {test['explored']['schedules']} schedules, {findings}, {test['uncontrolled']}"


def names_in(folder: str) -> set[str]:
    return {program.stem for program in ALL_PROGRAMS if program.parent.name == folder}
