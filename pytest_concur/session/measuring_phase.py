"""The last thing a marked test goes through, if it asks for it: measuring, and what follows from it.

What looks bad is measured again at once, and what looks bad again, at the end of the session: independent noise must
hit three times, and a busy machine has time to calm down.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

import pytest

from pytest_concur.model.verdict import Finding, Kind, TestResult
from pytest_concur.options import Resolved
from pytest_concur.session.judging import RAISED, Suspect
from pytest_concur.session.measured_session import MeasuredSession
from pytest_concur.session.measuring import TestMeasuring
from pytest_concur.session.patience import Patience
from pytest_concur.session.runner import PASSING, SHARE_OF_TIMEOUT

MEASUREMENTS = 3
"""Times that something must look bad before it fails a test."""

LEAST_SECONDS = 0.1
"""Seconds for the rounds of a comparison below which it is not begun."""

_COMPARED = ("within", "regressed", "improved")


class Postponed(BaseException):
    """Ends a test that is to run again at the end of the session; nothing is reported of it yet."""


class MeasuringPhase:
    """Measures one test and judges it."""

    def __init__(
        self,
        nodeid: str,
        options: Resolved,
        shared: MeasuredSession,
        result: TestResult,
        measuring: TestMeasuring,
        run_body: Callable[[], None],
        seconds_left: Callable[[], float],
    ) -> None:
        self._nodeid = nodeid
        self._options = options
        self._shared = shared
        self._result = result
        self._measuring = measuring
        self._run_body = run_body
        self._seconds_left = seconds_left
        result.measures = True

    def record(self) -> None:
        """Measure once, for a baseline."""
        self._measure_once()
        self._shared.record(self._nodeid, self._measuring.judged)

    def measure(self, explore: Callable[[], None]) -> None:
        """Measure; ``explore`` runs the body under control, for what comes behind the first measurement.

        Raises:
            Postponed: the test has to be run again at the end of the session.
            ConcurrencyFailure: it fails.
        """
        if not self._shared.measures:
            self._result.is_left_unmeasured = True
            return
        self._measure_once()
        if self._measuring.goes_on:
            self._measuring.let_results_be_known()
            explore()
        is_compared = any(each.measured.against.status in _COMPARED for each in self._measuring.judged)
        suspects = self._repeated(self._measuring.suspects)
        if is_compared:
            self._shared.note_compared(self._nodeid, bool(suspects))
        if suspects and self._shared.postpone(self._result, suspects):
            raise Postponed
        self._conclude(self._repeated(suspects))

    def measure_for_the_last_time(self, suspects: Sequence[Suspect]) -> None:
        """Measure a test that was postponed for these suspects.

        Raises:
            ConcurrencyFailure: it fails.
        """
        suspects = self._repeated(suspects)
        if suspects and self._shared.is_machine_event():
            self._result.unmeasured += [
                f"{each.summary}; but many tests are slower at once: the machine changed, not your code"
                for each in suspects
            ]
            suspects = []
        self._conclude(suspects)

    def _repeated(self, suspects: Sequence[Suspect]) -> list[Suspect]:
        """Measure again if there is a suspect; return those that are suspects again."""
        if not suspects:
            return []
        earlier = {(each.kind, each.name): each for each in suspects}
        self._measure_once([each.name for each in suspects if each.kind == "throughput-regression"])
        return [
            replace(each, before=(*before.before, before.amount))
            for each in self._measuring.suspects
            if (before := earlier.get((each.kind, each.name))) is not None
        ]

    def _measure_once(self, regressed: Collection[str] = ()) -> None:
        seconds = min(self._options.measure_seconds, self._seconds_left() * SHARE_OF_TIMEOUT / MEASUREMENTS)
        if seconds < LEAST_SECONDS:
            self._measuring.judged = []
            self._result.unmeasured.append("nothing was measured: the test's time-out is near")
            return
        with Patience() as patience:
            self._measuring.begin_measuring(seconds, patience, regressed)
            try:
                self._run_body()
            except PASSING:
                raise
            except (Exception, pytest.fail.Exception) as error:  # the latter is no Exception
                kind: Kind = "assertion" if isinstance(error, AssertionError | pytest.fail.Exception) else "exception"
                summary = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}".rstrip(": ")
                self._result.findings.append(Finding(kind, f"while measuring, {summary}", 0, "", 0, None))
                raise

    def _conclude(self, suspects: Sequence[Suspect]) -> None:
        """Take what was measured last into the result; fail with the first suspect."""
        result = self._result
        for suspect in suspects:
            self._note(suspect, is_warning=False)
        for each in self._measuring.judged:
            result.measured.append(each.measured)
            if each.inconclusive:
                result.unmeasured.append(each.inconclusive)
            if each.warning is not None:
                self._note(each.warning, is_warning=True)
        if suspects:
            raise RAISED[suspects[0].kind](suspects[0].summary)

    def _note(self, suspect: Suspect, *, is_warning: bool) -> None:
        title = suspect.kind.replace("-", " ").upper()
        times = ""
        if not is_warning:
            times = f"; {MEASUREMENTS} of {MEASUREMENTS} measurements: {', '.join((*suspect.before, suspect.amount))}"
        finding = Finding(
            kind=suspect.kind,
            summary=suspect.summary,
            schedule=0,
            token="",
            preemptions=0,
            gil=None,
            is_warning=is_warning,
            report=f"{title} {self._nodeid}\n  {suspect.summary}{times}",
        )
        self._result.findings.append(finding)
