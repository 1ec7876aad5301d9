"""What was found, written into a test's result: a finding with its report and the token that replays it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from pytest_concur.engine.frames import error_at
from pytest_concur.engine.hooks import Hooks
from pytest_concur.errors import ConcurrencyUsageError, ReplayDiverged
from pytest_concur.explore.failure import Failure
from pytest_concur.explore.search import Found
from pytest_concur.explore.sequential import Reference
from pytest_concur.explore.trial import Laboratory
from pytest_concur.instrument.interpreter import VERSION
from pytest_concur.model.schedule import Schedule, Token, digest
from pytest_concur.model.verdict import Finding, TestResult
from pytest_concur.options import Resolved, flags_to_replay

if TYPE_CHECKING:
    from pytest_concur.explore.warn import Suspicion


class Reporter:
    """Writes the findings of one test."""

    def __init__(self, result: TestResult, options: Resolved, seed: int, hooks: Hooks) -> None:
        """``hooks``: see what a failing schedule does, when it is run once more for the report."""
        self._result = result
        self._options = options
        self._seed = seed
        self._hooks = hooks
        self._flags = flags_to_replay(options)

    def note_failure(self, lab: Laboratory, reference: Reference, found: Found) -> tuple[Failure, str]:
        """Run what failed once more, observed, and note it; return the failure, with names, and the token."""
        from pytest_concur.explore.explain import trace  # most tests never fail
        from pytest_concur.report.failure import FailureReport, render

        failure = found.failure
        token = self._token(
            found.schedule,
            is_sequential=found.is_sequential and found.index == 0,
            is_focused=found.is_focused,
            sites=found.sites,
        )
        is_plain = found.is_sequential and failure.kind in ("assertion", "exception")
        kind = "sequential-failure" if is_plain else failure.kind
        seen, trial = trace(
            lab,
            self._hooks,
            found.schedule,
            sleeps_through="nobody" if found.index else lab.sleeps_through,
            is_focused=found.is_focused,
        )
        if trial.failure is not None and trial.failure.signature == failure.signature:
            failure = trial.failure  # the same with names, which are looked up only for a report
        report = FailureReport(
            nodeid=self._result.nodeid,
            kind=kind,
            summary=failure.summary,
            trace=seen,
            waiting=tuple(trial.record.waiting),
            running=tuple(trial.record.running),
            failed=tuple(
                (task, error_at(error))
                for task, error in trial.record.failed or trial.record.unhandled
                if error is not failure.error
            ),
            is_sequential=found.is_sequential,
            order=reference.order,
            is_stable=found.is_stable,
            gil=found.gil,
            preemptions=found.schedule.preemptions,
            index=found.index,
            strategy=self._options.strategy,
            seed=self._seed,
            uncontrolled=tuple(f"{each.what} at {each.where}" for each in self._result.uncontrolled),
            token=token,
            chosen=lab.chosen(),
            unfinished=tuple(trial.record.unfinished),
            timed_out_early=tuple(trial.record.timed_out_early),
            goes_on=_who_goes_on(found.schedule, seen.names),
            is_misuse=isinstance(failure.error, ConcurrencyUsageError),
            flags=self._flags,
        )
        self._result.findings.append(
            Finding(
                kind=kind,
                summary=failure.summary,
                schedule=found.index,
                token=token,
                preemptions=found.schedule.preemptions,
                gil=found.gil,
                sequential=found.is_sequential,
                report=render(report),
            )
        )
        return failure, token

    def note_suspicion(self, suspicion: Suspicion, *, is_warning: bool) -> None:
        """Note what may go wrong although nothing has."""
        from pytest_concur.report.replay_line import replay_line
        from pytest_concur.report.suspicion import render

        schedule = suspicion.schedule
        token = self._token(schedule, is_witnessed=True)
        self._result.findings.append(
            Finding(
                kind=suspicion.kind,
                summary=suspicion.summary,
                schedule=0,
                token=token,
                preemptions=schedule.preemptions,
                gil=None,
                is_warning=is_warning,
                report=render(
                    self._result.nodeid,
                    suspicion.kind,
                    suspicion.summary,
                    (*suspicion.lines, *([suspicion.excuse] if suspicion.excuse else [])),
                    replay_line(self._result.nodeid, self._flags, token),
                ),
            )
        )

    def diverge(self, token: Token, problem: str) -> NoReturn:
        """Note that a token does not lead where it led.

        Raises:
            ReplayDiverged: always.
        """
        summary = f"the replay token does not fit: diverged, {problem}"
        finding = Finding(
            "uncontrolled", summary, 0, token.encode(), token.schedule.preemptions, None, report=self._gone(summary)
        )
        self._result.findings.append(finding)
        raise ReplayDiverged(summary)

    def _gone(self, summary: str) -> str:
        remedy = (
            "the code has changed since (a line that is added is a step of its own if it takes a lock, as logging "
            "does, or looks at what tasks share), or the failure has gone, or something differs from process to "
            "process, like the order of a set of words where PYTHONHASHSEED is not set: run the test without "
            "--concur-replay"
        )
        return f"{self._result.nodeid}\n  {summary}\n  {remedy}"

    def _token(
        self,
        schedule: Schedule,
        *,
        is_sequential: bool = False,
        is_focused: bool = False,
        is_witnessed: bool = False,
        sites: Sequence[str] = (),
    ) -> str:
        return Token(
            schedule,
            digest(self._result.nodeid),
            VERSION,
            self._options.granularity,
            self._options.timeouts,
            is_sequential,
            is_focused,
            is_witnessed,
            tuple(digest(site, 16) for site in sites),
        ).encode()


def _who_goes_on(schedule: Schedule, names: Sequence[str]) -> str:
    """Return the name of a task beside the body's that had more than one turn; empty if none had."""
    turns = Counter(segment.task for segment in schedule.segments if segment.task)
    again = [task for task, count in turns.items() if count > 1 and task < len(names)]
    return names[again[0]] if again else ""
