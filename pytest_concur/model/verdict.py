"""What is said about a test: findings, what escaped control, the verdict. Rendered elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # most tests measure nothing
    from pytest_concur.model.measurement import Measured

Kind = Literal[
    "assertion",
    "exception",
    "deadlock",
    "livelock",
    "nondeterminism",
    "data-race",
    "lock-order",
    "thread-leak",
    "uncontrolled",
    "sequential-failure",
    "throughput-regression",
    "latency-regression",
    "premature-concurrency",
]
Gil = Literal["reachable", "not-reached"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One bug, reported once."""

    kind: Kind
    summary: str
    """One line: what went wrong."""

    schedule: int
    """1-based index of the first failing schedule; 0 if it failed in a sequential run."""

    token: str
    preemptions: int
    gil: Gil | None
    """Whether a build with a GIL was seen to do this by itself; ``None`` where the question was not asked."""

    sequential: bool = False
    is_warning: bool = False
    """It changes no verdict: something may go wrong, nothing has."""

    report: str = ""
    """The explanation for a person: steps, why, replay command."""


@dataclass(frozen=True, slots=True)
class Uncontrolled:
    """Something that ran or blocked where the engine had no say."""

    what: str
    where: str


@dataclass(slots=True)
class Explored:
    """How much was looked at."""

    schedules: int = 0
    complete_over: str = ""
    """What every order was tried of; empty if the search was not complete."""

    strategy: str = ""
    seed: int = 0
    seconds: float = 0.0
    runs: int = 0
    """Runs of the body in that time: one for each schedule, and those that were repeated."""

    switches: int = 0
    """Hand-overs between threads in these runs."""

    stress_rounds: int = 0
    """Runs of the body in threads that ran freely."""

    @property
    def complete(self) -> bool:
        """Whether every order was tried that could make a difference."""
        return bool(self.complete_over)


@dataclass(slots=True)
class TestResult:
    """All that is said about one test."""

    __test__ = False  # pytest must not take this class for a test

    nodeid: str
    findings: list[Finding] = field(default_factory=list)
    explored: Explored = field(default_factory=Explored)
    uncontrolled: list[Uncontrolled] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Sentences for the reader that change no verdict."""

    measures: bool = False
    """The test asks for measurements."""

    is_left_unmeasured: bool = False
    """They were not taken, since other processes measure or test beside this one."""

    measured: list[Measured] = field(default_factory=list)
    unmeasured: list[str] = field(default_factory=list)
    """Why measurements that might have failed the test say nothing."""

    is_expected: bool = False
    """It failed, and pytest expects that (``xfail``)."""

    is_step_limited: bool = False
    """A run was cut at ``max_steps`` without a verdict."""

    running: str = ""
    """Who ran then, and where."""

    @property
    def verdict(self) -> Literal["failed", "passed", "inconclusive"]:
        """``failed`` with a finding, ``inconclusive`` if part of the test could not be judged, else ``passed``."""
        if any(not finding.is_warning for finding in self.findings):
            return "failed"
        return "inconclusive" if self.uncontrolled or self.unmeasured or self.is_step_limited else "passed"

    @property
    def reason(self) -> str:
        """Why it is inconclusive, in words; empty if it is not."""
        parts = [f"{each.what} at {each.where} was outside control" for each in self.uncontrolled]
        parts += self.unmeasured
        if self.is_step_limited:
            who = f" ({self.running})" if self.running else ""
            parts.append(f"a run reached max_steps without a verdict{who}; raise max_steps if the test is that long")
        return "; ".join(parts) if self.verdict == "inconclusive" else ""
