"""The measuring part of one marked test: what its body asks for is measured and judged."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

import pytest

from pytest_concur.errors import BodyEnds, ConcurrencyUsageError
from pytest_concur.instrument.scope import Scope
from pytest_concur.measure import judge
from pytest_concur.measure.baselines import Match
from pytest_concur.measure.comparison import Plan, compare
from pytest_concur.measure.load import summarize
from pytest_concur.measure.machine import environment, processor_model
from pytest_concur.measure.rounds import Rounds
from pytest_concur.measure.workload import Comparing, Loading
from pytest_concur.model.measurement import Comparison, Load
from pytest_concur.model.schedule import digest
from pytest_concur.options import Resolved
from pytest_concur.session.judging import Judged, Suspect, judge_comparison, judge_load
from pytest_concur.session.lock_watch import watch_locks
from pytest_concur.session.patience import Patience
from pytest_concur.session.runner import Surroundings


class TestMeasuring:
    """What ``concur.compare`` and ``concur.load`` do in one test; see :class:`pytest_concur.fixture.Measuring`."""

    __test__ = False

    def __init__(self, item: pytest.Function, options: Resolved, around: Surroundings, seed: int, scope: Scope) -> None:
        self._item = item
        self._options = options
        self._around = around
        self._seed = seed
        self._scope = scope
        measured = around.measured
        self._is_recording = measured.is_recording
        self._baselines = measured.baselines() if options.baseline and measured.compares else None
        self._seconds = 0.0
        self._patience = Patience()
        self._regressed: Collection[str] = ()
        self._place = 0
        self.judged: list[Judged] = []
        """What the last measuring run gave, in the order of the body."""

        self.goes_on = False
        """The body starts tasks, or measures again, behind something measured: that has not been explored yet."""

        self._knows_results = False

    # ---- the fixture's side ----

    def in_controlled_run(self) -> Comparison | Load:
        if not self._knows_results or self._place >= len(self.judged):
            raise BodyEnds
        result = self.judged[self._place].measured.result
        self._place += 1
        return result

    def compare(self, work: Comparing) -> Comparison:
        self.note_more()
        name = self._name(work.name)
        match, match_problem = self._match(name, work.spec)
        least = None if self._is_recording else self._options.min_speedup
        plan = Plan(
            seed=digest(f"{self._item.nodeid} {name} {self._seed}"),
            seconds=self._seconds,
            min_speedup=least,
            may_be_slower=lambda rounds: self._may_be_slower(name, rounds, work, match),
            has_full_length=self._is_recording,
            beat=self._patience.beat,
            watch_locks=partial(watch_locks, self._scope, self._around.cache, self._item.module.__name__),
        )
        self._patience.beat()
        results = work.run_once()
        self._patience.beat()
        result, rounds = compare(
            work.sequential,
            work.concurrent,
            name=name,
            operations=work.operations,
            workers=work.workers,
            results=results,
            plan=plan,
        )
        self._patience.rest()
        session = judge.session_of(rounds, work.operations) | {"cpu": processor_model()}
        self.judged.append(
            judge_comparison(
                result,
                rounds,
                session,
                match,
                match_problem,
                spec=work.spec,
                max_regression=self._options.max_regression,
                min_speedup=least,
                again=name in self._regressed,
            )
        )
        return result

    def load(self, work: Loading) -> Load:
        self.note_more()
        name = self._name(work.name)
        match, match_problem = self._match(name, work.spec)
        self._patience.beat(work.seconds)
        samples = work.run()
        self._patience.rest()
        result = summarize(samples, name=name, users=work.users, rate=work.rate)
        windows = samples.windows()
        session = judge.load_session(windows, result)
        seed = digest(f"{self._item.nodeid} {name}")
        self.judged.append(judge_load(result, windows, session, match, match_problem, spec=work.spec, seed=seed))
        return result

    def note_more(self) -> None:
        self.goes_on |= bool(self.judged)

    # ---- the session's side ----

    def begin_run(self) -> None:
        self._place = 0

    def begin_measuring(self, seconds: float, patience: Patience, regressed: Collection[str]) -> None:
        """The body is about to run freely.

        Args:
            seconds: What the rounds of each comparison may take.
            patience: Is told of rounds as they begin and end.
            regressed: Names of the comparisons that were slower than their baselines when last measured.
        """
        self.judged = []
        self._seconds, self._patience, self._regressed = seconds, patience, regressed

    def let_results_be_known(self) -> None:
        """From now on controlled runs go on behind what is measured, with the results of the last measuring run."""
        self._knows_results = True

    @property
    def suspects(self) -> list[Suspect]:
        return [each.suspect for each in self.judged if each.suspect is not None]

    def _name(self, given: str | None) -> str:
        taken = {each.measured.result.name for each in self.judged}
        if given is not None:
            if given in taken:
                raise ConcurrencyUsageError(
                    f"{self._item.nodeid}: two measurements are named {given!r}; baselines need different names"
                )
            return given
        first = self._item.name.removeprefix("test_")
        name, number = first, 2
        while name in taken:
            name, number = f"{first} {number}", number + 1
        return name

    def _match(self, name: str, spec: str) -> tuple[Match, str]:
        """Return what there is to compare with, and a sentence if there is nothing."""
        if self._baselines is None:
            return Match(), ""
        match = self._baselines.find(self._item.nodeid, name, spec, environment())
        if match.sessions:
            return match, ""
        return match, f"{match.reason}; write one with --concur-update-baselines"

    def _may_be_slower(self, name: str, rounds: Rounds, work: Comparing, match: Match) -> bool:
        if not match.sessions:
            return False
        today = judge.session_of(rounds, work.operations)
        shift = judge.shift(today, match.sessions, least_effect=self._options.max_regression)
        return shift.may_be_slower(again=name in self._regressed)
