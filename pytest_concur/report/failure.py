"""The report of a failure, for a tired person at six in the evening.

Verdict and test first; then one column per task, only the lines that matter, switches marked; then why; the replay
command last.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_concur.model.conflicts import Crossing, Intrusion, explanation
from pytest_concur.model.trace import ScheduleTrace, Step
from pytest_concur.model.waiting import Place, Waiting, stuck_lines
from pytest_concur.report.columns import columns
from pytest_concur.report.replay_line import replay_line


@dataclass(frozen=True, slots=True)
class FailureReport:
    """All that the report says."""

    nodeid: str
    kind: str
    summary: str
    trace: ScheduleTrace
    waiting: tuple[Waiting, ...]
    running: tuple[tuple[str, Place], ...]
    failed: tuple[tuple[str, str], ...]
    is_sequential: bool
    order: str
    is_stable: bool
    gil: str | None
    preemptions: int
    index: int
    strategy: str
    seed: int
    uncontrolled: tuple[str, ...]
    token: str
    chosen: tuple[str, ...] = ()
    """What ``concur.choose`` gave, in order."""

    goes_on: str = ""
    """A task that waited and went on, where no task was interrupted."""

    unfinished: tuple[str, ...] = ()
    """Tasks that had not ended when the body failed."""

    timed_out_early: tuple[Waiting, ...] = ()
    """Waits whose time was over although others could run."""

    is_misuse: bool = False
    """The test asks this plugin for something that it does not do."""

    flags: tuple[str, ...] = ()
    """Options of the command line that a replay needs."""


def render(report: FailureReport) -> str:
    """Return the report as text."""
    why = explanation(report.trace) if _is_explained(report) else None
    parts = [_head(report), _steps(report, why), _why(report, why), _notes(report)]
    parts.append(replay_line(report.nodeid, report.flags, report.token))
    return "\n\n".join(part for part in parts if part)


def _head(report: FailureReport) -> str:
    return f"{report.kind}: {report.nodeid}\n  {report.summary}"


def _is_explained(report: FailureReport) -> bool:
    """Whether accesses may explain it, and not waits, or what a task does all alone."""
    if report.is_misuse or report.kind == "livelock" or report.waiting:
        return False
    return report.kind != "sequential-failure" or bool(report.goes_on)


def _steps(report: FailureReport, why: Intrusion | Crossing | None) -> str:
    if report.is_sequential and report.kind == "sequential-failure" and not report.goes_on:
        return ""
    return columns(report.trace, report.waiting, why)


def _why(report: FailureReport, why: Intrusion | Crossing | None) -> str:
    if report.is_misuse:
        return "This is how the test uses pytest-concur, and no concurrency bug."
    if report.kind == "sequential-failure":
        order = f" ({report.order})" if report.order else ""
        what = f"This happens without any switch between tasks{order}: it is no concurrency bug"
        once = "It passed the first time:" if "second time" in report.order else "If it fails only when repeated,"
        once += " the test leaves state behind that outlives one run of its body."
        if report.unfinished:
            once = f"When the test failed, {', '.join(report.unfinished)} had not ended: is a join missing?"
        elif report.chosen or report.goes_on:
            once = f"concur.choose gave {', '.join(report.chosen)}." if report.chosen else ""
        if report.goes_on:
            what = (
                f"This happens without interrupting a task{order}; but {report.goes_on} waits in the middle, and "
                "meanwhile others go on"
            )
        lines = [*_ended(report), *_told(why, report.trace.names)]
        return f"{what}.\n{once}".rstrip() + "".join(f"\n{line.strip()}" for line in lines)
    if report.kind in ("deadlock", "thread-leak") and report.waiting:
        return "\n".join(["why:", *("  " + line for line in stuck_lines(report.waiting)), *_ended(report)])
    if report.kind == "livelock":
        circles = [f"  {task} keeps coming back to {place}" for task, place in report.running]
        return "\n".join(["why:", *circles, *_ended(report)])
    early = [
        f"  {each.task} waited for {each.what} at {each.place}, and its time was over although others could run"
        for each in report.timed_out_early
    ]
    lines = [*_ended(report), *early, *_told(why, report.trace.names)]
    return "\n".join(["why:", *lines]) if lines else ""


def _told(why: Intrusion | Crossing | None, names: Sequence[str]) -> list[str]:
    if isinstance(why, Intrusion):
        return ["  " + line for line in _explain(why, names)]
    if isinstance(why, Crossing):
        return ["  " + line for line in _explain_crossing(why, names)]
    return []


def _ended(report: FailureReport) -> list[str]:
    """Who may be the one that is waited for."""
    return [f"  {task} has ended with {error}" for task, error in report.failed]


def _explain(found: Intrusion, names: Sequence[str]) -> list[str]:
    first, other, second = found.before, found.between, found.after
    verb = "called" if other.is_call else "wrote" if other.writes else "read"
    return [
        f"{names[other.task]} {verb} {other.shown}{_value(other)} ({_at(other)}) between {names[first.task]}'s "
        f"{_noun(first)} ({_at(first)}) and its {_noun(second)} ({_at(second)});",
        f"with one task after the other, {names[other.task]}'s {_kind(other)} comes before both of them, or after both",
    ]


def _explain_crossing(found: Crossing, names: Sequence[str]) -> list[str]:
    one, other = (names[step.task] for step in found.first)
    return [
        f"{_pair(found.first, names)},",
        f"and {_pair(found.second, names)};",
        f"with one task after the other, either {one} comes first in both places, or {other}",
    ]


def _pair(pair: tuple[Step, Step], names: Sequence[str]) -> str:
    earlier, later = pair
    did = "wrote" if earlier.writes else "read"
    does = "wrote" if later.writes else "read"
    return (
        f"{names[earlier.task]} {did} {earlier.shown}{_value(earlier)} ({_at(earlier)}) before {names[later.task]} "
        f"{does} {later.shown if later.shown != earlier.shown else 'it'}{_value(later)} ({_at(later)})"
    )


def _noun(step: Step) -> str:
    return f"{_kind(step)}{_value(step, ' of ')}"


def _kind(step: Step) -> str:
    if step.is_call:
        return "call"
    return "write" if step.writes else "read"


def _value(step: Step, link: str = " = ") -> str:
    return f"{link}{step.value}" if step.value is not None else ""


def _at(step: Step) -> str:
    return f"{os.path.basename(step.file)}:{step.line}"


def _notes(report: FailureReport) -> str:
    lines = []
    if not report.is_stable:
        lines.append("note: it did not fail alike each time the schedule was replayed: something else decides too")
    if report.is_sequential and report.kind != "sequential-failure":
        lines.append(f"note: it happens in a sequential run ({report.order or 'no switch needed'})")
    elif report.gil == "not-reached":
        lines.append("gil: not reached with switches only where this interpreter's GIL allows them")
    elif report.gil == "reachable" and not report.is_sequential:
        lines.append("gil: reachable, also with switches only where this interpreter's GIL allows them")
    if report.index:
        lines.append(
            f"found at schedule {report.index} ({report.strategy}, seed {report.seed}), {report.preemptions} "
            f"preemption{'' if report.preemptions == 1 else 's'} after minimization"
        )
    if report.chosen and report.kind != "sequential-failure":
        lines.append(f"chosen by concur.choose: {', '.join(report.chosen)}")
    if report.uncontrolled:
        lines.append(f"uncontrolled: {'; '.join(report.uncontrolled)}")
    return "\n".join(lines)
