"""One marked test, from its settings to its verdict."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from pytest_concur.engine import carrier, outside, renewal
from pytest_concur.engine.hooks import Hooks
from pytest_concur.engine.stacks import note_interpreters_at_rest, stacks
from pytest_concur.engine.watchdog import BUSY_LIMIT_S, Watchdog
from pytest_concur.errors import (
    BodyEnds,
    ConcurrencyFailure,
    DataRaceFound,
    InternalError,
    LockOrderFound,
    ReplayDiverged,
)
from pytest_concur.explore import search, sequential
from pytest_concur.explore.beginnings import own_beginnings
from pytest_concur.explore.focus import MOST_UNITS, focus
from pytest_concur.explore.search import Budget, Found
from pytest_concur.explore.sequential import Reference
from pytest_concur.explore.trial import Laboratory, Outcomes, Settings
from pytest_concur.fixture import Concur
from pytest_concur.instrument.cache import CodeCache
from pytest_concur.instrument.collector import quiet_collector
from pytest_concur.instrument.interpreter import VERSION
from pytest_concur.instrument.patch import Patch
from pytest_concur.instrument.scope import Scope, has_prefix
from pytest_concur.model.schedule import Token, TokenError, decode, digest
from pytest_concur.model.verdict import Explored, Finding, Kind, TestResult, Uncontrolled
from pytest_concur.options import Resolved
from pytest_concur.session.collected import Collected
from pytest_concur.session.fresh_fixtures import FreshFixtures
from pytest_concur.session.process import forget_threads, note_unraisable, one_processor, renew_pools
from pytest_concur.session.replay_token import divergence, problem_of
from pytest_concur.session.reporter import Reporter
from pytest_concur.strategies import make_strategies
from pytest_concur.strategies.replay import Replay

if TYPE_CHECKING:
    from pytest_concur.session.measured_session import MeasuredSession
    from pytest_concur.session.measuring import TestMeasuring
    from pytest_concur.session.measuring_phase import MeasuringPhase

PASSING = (pytest.skip.Exception, pytest.xfail.Exception, pytest.exit.Exception)
"""What ends a test as it is: no failure."""

_RAISED: dict[Kind, type[ConcurrencyFailure]] = {"data-race": DataRaceFound, "lock-order": LockOrderFound}

LEAST_SECONDS = 1.0
"""Seconds to a test's time-out below which nothing is begun that is not asked for."""

LONGEST_UNASKED_S = 0.5
"""Virtual seconds of a run beyond which a test is not run in real time unless it asks for that."""

SHARE_OF_TIMEOUT = 0.4
"""Part that exploring may use of what is left of a test's own time-out; measuring, of what is left then."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the session offers to each test."""

    hooks: Hooks
    outcomes: Outcomes
    cache: CodeCache
    roots: tuple[Path, ...]
    infrastructure: frozenset[int]
    """Idents of threads that were there before any test: they wake nobody."""

    remembered: Callable[[str], Sequence[str]]
    remember: Callable[[str, Sequence[str]], None]
    progress: Callable[[str, int, float, Budget], None]
    measured: MeasuredSession
    worker: int | None = None
    """Number of this xdist worker; ``None`` if there is one process."""


class TestRunner:
    """Runs one marked test."""

    __test__ = False

    def __init__(self, item: pytest.Function, options: Resolved, around: Surroundings, *, started: float) -> None:
        """``started``: when pytest called the test, by ``time.perf_counter``."""
        self._item = item
        self._started = started
        self._options = options
        self._around = around
        self._seed = options.seed if options.seed is not None else digest(item.nodeid)
        self._measuring: TestMeasuring | None = None
        self._is_explored = False
        self._longest_s = 0.0
        self._fixtures = FreshFixtures(item, is_enabled=options.fresh_fixtures)
        self._collected = Collected(item)
        self._is_interrupted: Callable[[], bool] = lambda: False
        self.result = TestResult(item.nodeid)
        self.result.explored = Explored(strategy=options.strategy, seed=self._seed)
        self._reporter = Reporter(self.result, options, self._seed, around.hooks)

    def run(self, token: str | None) -> None:
        """Explore the test, or replay ``token``, then measure what it asks for; fill ``result``.

        Raises:
            BaseException: what the test raises: its failure, a skip.
        """
        self._refuse_foreign_token(token)
        measured = self._around.measured
        if measured.is_recording:
            self._phase().record()
        elif (first := measured.postponed(self._item.nodeid)) is not None:
            result, before = self.result, first.result
            result.explored, result.notes = before.explored, before.notes
            result.uncontrolled, result.is_step_limited = before.uncontrolled, before.is_step_limited
            result.findings += before.findings  # warnings: what failed was not postponed
            self._phase().measure_for_the_last_time(first.suspects)
        else:
            self._run_controlled(token)
            if token is None and self._is_explored:
                self._run_freely()
            if self._measuring is not None and token is None:
                self._phase().measure(lambda: self._run_controlled(None))

    def _run_controlled(self, token: str | None) -> None:
        try:
            self._run_in_laboratory(token)
        except InternalError as error:
            self.result.uncontrolled.append(Uncontrolled(str(error), self._item.nodeid))
            raise
        except pytest.fail.Exception as error:
            if _is_timeout(error) and not self.result.findings:
                self.result.uncontrolled.append(Uncontrolled("what the time-out has cut off", self._item.nodeid))
            raise

    def _run_freely(self) -> None:
        """Run stress rounds if the test asks for them, or was not all under control."""
        rounds, seconds = self._options.stress, self._seconds_left() * SHARE_OF_TIMEOUT
        if not rounds and (not self.result.uncontrolled or self._longest_s > LONGEST_UNASKED_S):
            return
        if self._measuring is not None:
            self.result.notes.append("no stress rounds were run: the test measures, which a round would do anew")
            return
        if seconds < LEAST_SECONDS:
            self.result.notes.append("no stress rounds were run: the test's time-out is near")
            return
        from pytest_concur.session.stressing import stress_test

        with self.laboratory(is_free=True) as lab:
            stress_test(lab, self.result, rounds=rounds, seconds=seconds, seed=self._seed)

    def _run_in_laboratory(self, token: str | None) -> None:
        with self.laboratory() as lab:
            reference = sequential.establish(lab, self._options.seconds)
            if reference.passing is not None:
                raise reference.passing
            for what, where in dict.fromkeys(reference.uncontrolled):
                self.result.uncontrolled.append(Uncontrolled(what, where))
            self.result.is_step_limited |= reference.is_step_limited
            self.result.running = self.result.running or reference.running
            if reference.held_up is not None and reference.failure is None:
                self.result.notes.append(
                    f"it fails if others get no turn while it sleeps ({reference.held_up.summary}); that does not count"
                )
            if token is not None:
                self._replay(lab, reference, decode(token))
            elif reference.is_exhausted:
                return
            elif reference.failure is not None:
                self._report(lab, reference, self._sequential_finding(reference))
            else:
                self._note_idle_settings(reference)
                self._explore(lab, reference)
            self._longest_s, self._is_explored = lab.longest_ns / 1e9, True

    def _note_idle_settings(self, reference: Reference) -> None:
        """Say so where the test asks for what does not happen: most likely by mistake."""
        for name in self._options.scope:
            if not any(has_prefix(module, {name}) for module in list(sys.modules)):
                self.result.notes.append(f"scope: there is no module {name!r}, or the test has not imported it")
        asks_speed = any("min_speedup" in marker.kwargs for marker in self._item.iter_markers("concurrency"))
        if asks_speed and self._measuring is None:
            self.result.notes.append("min_speedup: nothing was compared: the test calls no concur.compare")
        if reference.task_count == 1 and self._measuring is None:
            self.result.notes.append(
                "nothing ran beside the test's body: start tasks with concur.run, or with threads=N, or start threads"
            )

    @contextmanager
    def laboratory(self, *, is_free: bool = False) -> Iterator[Laboratory]:
        """Return what runs the test's body, with everything about the process set as the runs need it.

        Args:
            is_free: They are not controlled.
        """
        around = self._around
        module = self._item.module.__name__
        patch = Patch(self._scope(), around.cache, around.hooks.bind, module, waits_for_calls=not is_free)
        lab = Laboratory(self._run_body, around.outcomes, patch, around.hooks, self._settings())
        with ExitStack() as stack:
            stack.callback(renew_pools)
            stack.callback(around.cache.save)
            stack.callback(patch.remove)
            stack.callback(patch.discovery.stop)
            stack.enter_context(forget_threads())
            stack.callback(carrier.dismiss_all)
            renewal.prepare()
            note_interpreters_at_rest()
            if not is_free:
                stack.enter_context(Watchdog(around.hooks, limit_s=self._limit()))
                stack.enter_context(one_processor(around.worker))
            around.hooks.default_excepthook = threading.excepthook
            stack.enter_context(quiet_collector())
            stack.enter_context(own_beginnings())
            self._is_interrupted = stack.enter_context(note_unraisable(self.result.notes))
            self._fixtures.release_first()
            stack.callback(self._fixtures.remove_folder)
            yield lab

    # ---- the ways to run it ----

    def _explore(self, lab: Laboratory, reference: Reference) -> None:
        options, result = self._options, self.result
        name = self._item.nodeid
        budget = Budget(options.schedules, options.seconds, self._seconds_left() * SHARE_OF_TIMEOUT)
        searched = search.explore(
            lab,
            reference,
            make_strategies(
                options.strategy,
                self._seed,
                knows_accesses=options.granularity != "gil",
                explores_timeouts=options.timeouts == "explore",
            ),
            budget,
            explored=result.explored,
            remembered=list(self._remembered()),
            progress=lambda schedules, seconds: self._around.progress(name, schedules, seconds, budget),
        )
        result.notes += searched.notes
        result.is_step_limited |= searched.is_step_limited
        result.running = result.running or searched.running
        for what, where in dict.fromkeys(searched.uncontrolled):
            if Uncontrolled(what, where) not in result.uncontrolled:
                result.uncontrolled.append(Uncontrolled(what, where))
        if searched.passing is not None:
            raise searched.passing
        found = searched.found
        if found is None:
            self._around.remember(name, ())
            self._suspect(lab)
            return
        if not search.settle(lab, reference, found):
            what = (
                f"schedule {found.index} failed ({found.failure.summary}) and never again when replayed: "
                "something else decides"
            )
            result.uncontrolled.append(Uncontrolled(what, name))
            return
        self._ask_sequential(lab, found)
        found.gil = search.ask_gil(lab, reference, found, self._seed)
        self._report(lab, reference, found)

    def _ask_sequential(self, lab: Laboratory, found: Found) -> None:
        """Find out whether the answers that ``concur.choose`` gave are enough to fail."""
        if found.schedule.choices and found.failure.kind in ("assertion", "exception"):
            found.is_sequential = sequential.fails_sequentially(lab, found.schedule.choices)

    def _suspect(self, lab: Laboratory, failure: Kind | None = None) -> None:
        """Look for what may go wrong although nothing has; ``failure``: what has, if something did.

        Raises:
            ConcurrencyFailure: there is something, and the test's settings say that it is an error.
        """
        options = self._options
        levels: dict[Kind, str] = {"data-race": options.data_races, "lock-order": options.lock_order}
        kinds = {kind for kind, level in levels.items() if level != "ignore"}
        has_seen_all = self.result.explored.complete and options.granularity != "gil"  # where it is not all there is
        if failure == "deadlock" or has_seen_all:
            kinds.discard("lock-order")  # it is what was found; or it ends in no deadlock, as was seen
        if not kinds:
            return
        if self.result.uncontrolled:
            if "error" in levels.values():
                self.result.notes.append("data races and lock orders were not looked for: part was outside control")
            return
        if self._seconds_left() < LEAST_SECONDS:
            self.result.notes.append("data races and lock orders were not looked for: the test's time-out is near")
            return
        if lab.patch.user_units > MOST_UNITS and "error" not in levels.values():
            self.result.notes.append(
                f"data races and lock orders were not looked for in {lab.patch.user_units} functions; "
                "data_races='error' and lock_order='error' do so all the same"
            )
            return
        from pytest_concur.explore.warn import suspicions

        found, is_ordered_outside = suspicions(lab, self._seed, frozenset(kinds))
        if is_ordered_outside:
            self.result.notes.append(
                "data races were not judged: the test calls the system (file locks, sockets, processes), which may put "
                "tasks in an order that is not seen"
            )
        for each in sorted(found, key=lambda each: levels[each.kind]):  # errors before warnings
            is_warning = failure is not None or levels[each.kind] == "warn"
            self._reporter.note_suspicion(each, is_warning=is_warning)
        for each in found:
            if failure is None and levels[each.kind] == "error":
                raise _RAISED[each.kind](each.summary)

    def _replay_witnessed(self, lab: Laboratory, token: Token) -> None:
        from pytest_concur.explore.warn import witness

        seen, _, _ = witness(lab, lambda: Replay(token.schedule))
        if not seen:
            self._reporter.diverge(token, "nothing suspicious was seen: it is gone")
        for each in seen:
            self._reporter.note_suspicion(each, is_warning=False)
        raise _RAISED[seen[0].kind](seen[0].summary)

    def _replay(self, lab: Laboratory, reference: Reference, token: Token) -> None:
        self.result.explored.schedules = 1
        if token.is_witnessed:
            self._replay_witnessed(lab, token)
        if token.is_focused:
            focus(lab)
        replay = partial(
            search.replay,
            lab,
            reference,
            token.schedule,
            sleeps_through=lab.sleeps_through if token.is_sequential else "nobody",
            is_focused=token.is_focused,
        )
        failure, trial = replay()
        problem = divergence(token, trial)
        if trial.record.has_run_ahead and (problem is not None or failure is None):
            lab.in_step_s = lab.settings.patience_s  # as when it was found, perhaps
            failure, trial = replay()
            problem = divergence(token, trial)
        if problem is None and failure is None:
            problem = "the schedule was followed to its end and nothing failed: the failure is gone"
        if problem is not None or failure is None:
            self._reporter.diverge(token, str(problem))
        found = Found(failure, token.schedule, 0 if token.is_sequential else 1, is_sequential=token.is_sequential)
        found.is_focused = token.is_focused
        found.sites = tuple(trial.record.sites)
        self._ask_sequential(lab, found)
        self._report(lab, reference, found, is_replay=True)

    def _sequential_finding(self, reference: Reference) -> Found:
        assert reference.failure is not None and reference.failing is not None, "called for a failure"
        record = reference.failing.record
        return Found(reference.failure, record.schedule, 0, gil="reachable", is_sequential=True)

    # ---- measuring ----

    def who_measures(self) -> TestMeasuring:
        """Return who measures for this test; made when the body first asks, as most tests never do."""
        if self._measuring is None:
            from pytest_concur.session.measuring import TestMeasuring

            self._measuring = TestMeasuring(self._item, self._options, self._around, self._seed, self._scope())
        return self._measuring

    def _phase(self) -> MeasuringPhase:
        from pytest_concur.session.measuring_phase import MeasuringPhase

        def run_body() -> None:
            self._fixtures.release_first()
            self._run_body()

        return MeasuringPhase(
            self._item.nodeid,
            self._options,
            self._around.measured,
            self.result,
            self.who_measures(),
            run_body,
            self._seconds_left,
        )

    def _report(self, lab: Laboratory, reference: Reference, found: Found, *, is_replay: bool = False) -> NoReturn:
        failure, token = self._reporter.note_failure(lab, reference, found)
        self._fixtures.keep_folder()
        if not is_replay:
            self._around.remember(self._item.nodeid, () if found.index == 0 else (token,))
            is_quick = reference.contested <= search.LONG_RUN
            is_plain = found.is_sequential and failure.kind in ("assertion", "exception")
            if is_quick and not is_plain and not found.leaves_threads:
                with self._collected.held():
                    self._suspect(lab, failure.kind)
        raise failure.error

    # ---- what the runs need ----

    def _run_body(self) -> Any:
        if self._is_interrupted():
            raise KeyboardInterrupt
        self._collected.forget()
        result = self._fixtures.call(self._call)
        self._around.outcomes.raise_unasked()  # of threads that ran freely
        return result

    def _call(self, arguments: dict[str, Any]) -> Any:
        function = self._item.obj
        if self._measuring is not None:
            self._measuring.begin_run()
        if (threads := self._options.threads) is None:
            try:
                return function(**arguments)
            except BodyEnds:
                return None
        concur = Concur(self._around.hooks, self._around.outcomes, lambda: self._options.measure_seconds)
        concur.run(*[lambda: function(**arguments)] * threads, names=[f"thread {i + 1}" for i in range(threads)])
        return None

    def _settings(self) -> Settings:
        options, around = self._options, self._around

        def foreign(tasks: Collection[int | None]) -> bool:
            ours = around.infrastructure.union(tasks)
            # ``is_alive`` would take a lock on behalf of the task that asks, which may have ended
            living = stacks()
            return not living or any(
                ident not in ours and ident in living and not thread.name.startswith("pytest_timeout")
                for ident, thread in list(threading._active.items())  # type: ignore[attr-defined]
            )

        return Settings(
            max_steps=options.max_steps,
            granularity=options.granularity,
            explores_timeouts=options.timeouts == "explore",
            compares_outcomes=options.outcome == "serial",
            patience_s=min(outside.PATIENCE_S, self._seconds_left() * SHARE_OF_TIMEOUT / 2),
            passing_in=_passing_in,
            seconds_left=self._seconds_left,
            is_interruption=_is_timeout,
            is_assertion=_is_assertion,
            foreign_threads=foreign,
        )

    def _scope(self) -> Scope:
        return Scope(self._around.roots, self._options.scope, self._item.module)

    def _seconds_left(self) -> float:
        """Seconds until the test's own time-out, if pytest-timeout sets one."""
        limit = _item_timeout(self._item)
        return max(0.0, limit - (time.perf_counter() - self._started)) if limit else float("inf")

    def _limit(self) -> float:
        limit = _item_timeout(self._item)
        return min(BUSY_LIMIT_S, limit * SHARE_OF_TIMEOUT) if limit else BUSY_LIMIT_S

    def _remembered(self) -> Iterator[Token]:
        for text in self._around.remembered(self._item.nodeid):
            try:
                token = decode(text)
            except TokenError:
                continue
            fits = token.python == VERSION and token.granularity == self._options.granularity
            if fits and not token.is_witnessed:
                yield token

    def _refuse_foreign_token(self, text: str | None) -> None:
        """Say what is wrong with a token before anything runs."""
        if text is None:
            return
        problem = problem_of(text, self._item.nodeid, self._options)
        if problem is not None:
            summary = f"{self._item.nodeid}: --concur-replay: {problem}"
            self.result.findings.append(Finding("uncontrolled", summary, 0, text, 0, None, report=summary))
            raise ReplayDiverged(summary)


def _passing_in(error: BaseException) -> BaseException | None:
    """Return what ends the test as it is: if nobody raised anything else, or somebody exits."""
    errors = error.exceptions if isinstance(error, BaseExceptionGroup) else [error]
    exits = [each for each in errors if isinstance(each, pytest.exit.Exception)]
    return next(iter(exits), errors[0] if all(isinstance(each, PASSING) for each in errors) else None)


def _is_assertion(error: BaseException) -> bool:
    errors = error.exceptions if isinstance(error, BaseExceptionGroup) else [error]
    return all(isinstance(each, AssertionError | pytest.fail.Exception) for each in errors)


def _is_timeout(error: BaseException) -> bool:
    """Whether pytest-timeout has raised this in its handler of a signal."""
    frames = (each.tb_frame for each in _tracebacks(error))
    is_its_own = any(frame.f_globals.get("__name__") == "pytest_timeout" for frame in frames)
    return isinstance(error, pytest.fail.Exception) and is_its_own


def _tracebacks(error: BaseException) -> Iterator[TracebackType]:
    each = error.__traceback__
    while each is not None:
        yield each
        each = each.tb_next


def _item_timeout(item: pytest.Function) -> float | None:
    """Return the seconds that pytest-timeout gives this test, or ``None``."""
    if not any(item.config.pluginmanager.hasplugin(name) for name in ("timeout", "pytest_timeout")):  # -p MODULE
        return None
    marker = item.get_closest_marker("timeout")
    if marker is not None:
        value = marker.args[0] if marker.args else marker.kwargs.get("timeout")
        return float(value) if value else None
    value = getattr(item.config, "_env_timeout", None)
    return float(value) if value else None
