"""One run of the body, in a fresh world."""

from __future__ import annotations

import gc
import math
import reprlib
import threading
import time
import types
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import ref

from pytest_concur.engine.clock import VirtualClock
from pytest_concur.engine.execution import Execution, SleepsThrough
from pytest_concur.engine.hooks import Hooks, Observer
from pytest_concur.engine.outside import PATIENCE_S, Signs
from pytest_concur.engine.record import Record
from pytest_concur.engine.seeing import SeeingExecution
from pytest_concur.errors import Hung, InternalError
from pytest_concur.explore.beginnings import begin_alike
from pytest_concur.explore.failure import Failure, judge, let_go, raise_all
from pytest_concur.instrument.patch import Mode, Patch
from pytest_concur.instrument.points import Granularity
from pytest_concur.instrument.rewrite import Flavour
from pytest_concur.model.outcome import comparable
from pytest_concur.model.turn import Scheduler
from pytest_concur.model.witness import Witness
from pytest_concur.strategies.sequential import Sequential

if TYPE_CHECKING:
    from pytest_concur.engine.noise import Noise

MOST_REPEATS = 25
"""Times a run is repeated because it met code that was not instrumented yet."""


@dataclass(slots=True)
class Trial:
    """A finished run."""

    record: Record
    failure: Failure | None
    outcome: Any = None
    """The compared values, or ``None`` if the run did not complete."""

    result: Any = None
    passing: BaseException | None = None
    """An exception that is no failure (a skip, an expected failure): it ends the test as it is."""

    seconds: float = 0.0
    """Real time that it took."""

    stood_s: float = 0.0
    """Real time for which no thread of this process had a processor: somebody waited for the outside, or for one."""

    has_passed_before: bool = False
    """The same run, that had to be repeated since it met new code, did not fail."""

    def let_go(self) -> None:
        """Free what the frames of the run hold."""
        if self.failure is not None:
            let_go(self.failure.error)
        for _, error in self.record.failed:
            let_go(error)


@dataclass(slots=True)
class Outcomes:
    """Values that belong to the outcome of the run that is going on; the fixture fills it."""

    results: list[Any] = field(default_factory=list)
    observed: dict[str, Any] = field(default_factory=dict)
    chosen: list[Any] = field(default_factory=list)
    """What ``concur.choose`` has given, which is no part of the outcome."""

    unasked: list[Callable[[], BaseException | None]] = field(default_factory=list)
    """Return what ended real threads of ``concur.start``, each until somebody asks for its result."""

    def clear(self) -> None:
        self.results, self.observed, self.chosen, self.unasked = [], {}, [], []

    def raise_unasked(self) -> None:
        """Raise what has ended real threads, if nobody has asked for their results."""
        unasked, self.unasked = self.unasked, []
        if unasked:
            raise_all([error for each in unasked if (error := each()) is not None])

    def comparable(self) -> Any:
        return comparable((self.results, self.observed))


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds for every run of a test."""

    max_steps: int
    granularity: Granularity
    explores_timeouts: bool
    compares_outcomes: bool
    patience_s: float = PATIENCE_S
    """Real time that the outside is given in a run."""

    seconds_left: Callable[[], float] = lambda: math.inf
    """Until the test's own time-out."""

    passing_in: Callable[[BaseException], BaseException | None] = lambda error: None
    """Returns what ends the test as it is, if an exception is that or contains it: skip, xfail, exit."""

    is_interruption: Callable[[BaseException], bool] = lambda error: False
    """Whether an exception ends the test beside Ctrl-C, whatever the run says: its time-out, raised by a signal."""

    is_assertion: Callable[[BaseException], bool] = lambda error: isinstance(error, AssertionError)
    foreign_threads: Callable[[Collection[int | None]], bool] = lambda ours: False
    """Whether there are threads that may wake a task, other than those with the idents given and pytest's."""


class Laboratory:
    """Runs one body again and again, each time in a fresh world."""

    def __init__(
        self, body: Callable[[], Any], outcomes: Outcomes, patch: Patch, hooks: Hooks, settings: Settings
    ) -> None:
        self._body = body
        self._outcomes = outcomes
        self.patch = patch
        self._hooks = hooks
        self.countdown = hooks.countdown
        self._clock = VirtualClock.started_now()
        self.settings = settings
        self._plain_mode = Mode(granularity=settings.granularity)
        self.in_step_s = 0.0
        """Seconds for which the clock of each run keeps step with real time: the outside plays a part."""

        self.sleeps_through: SleepsThrough = "all"
        """Who does so in a sequential run."""

        self._known_places: dict[str, float] = {}
        self.runs = 0
        self.longest_ns = 0
        """Virtual time that a run took, the longest."""

        self.cut_short: tuple[int, list[ref[threading.Thread]]] = (0, [])
        """Of a run in which somebody slept, so that others had no turn: its tasks, and the threads ended with it.

        Of several such runs the one with most tasks.
        """

        self.unseen: set[str] = set()
        """Packages that tasks were seen to call, and of which nobody sees what they read and write."""

        self.most_tasks_ended = 0
        """Tasks of a run of which some had to be ended; of several the one with most."""

    def run(
        self,
        make_scheduler: Callable[[], Scheduler],
        *,
        mode: Mode | None = None,
        is_recording: bool = False,
        sleeps_through: SleepsThrough = "nobody",
        discovers: bool = True,
        freeze_names: bool = True,
        keeps_error: bool = False,
        observer: Observer | None = None,
        make_witness: Callable[[], Witness] | None = None,
        on_attempt: Callable[[], None] = lambda: None,
        in_step_s: float | None = None,
        signs: Signs | None = None,
    ) -> Trial:
        """Run the body once; again while it meets code that is not instrumented yet.

        Args:
            make_scheduler: Returns the scheduler of an attempt, the same decisions each time.
            mode: How the code is instrumented; for counting down at the test's granularity if not given.
            is_recording: Remember where switches happened.
            sleeps_through: See :class:`Execution`.
            discovers: Look for new code. Costs nothing from 3.12 on.
            freeze_names: See :meth:`Patch.absorb`.
            keeps_error: Leave the failure's traceback as it is. Its frames keep the run's objects alive, which the next
                run might see through a class or a module; so only the last run of a test should.
            observer: Is told of every point; needs the flavour ``observe``.
            make_witness: Returns the witness of an attempt; needs the flavour ``operate``.
            on_attempt: Called before each attempt.
            in_step_s: Takes the place of the attribute of that name in this run.
            signs: Looks on.
        """
        self.patch.install(mode or self._plain_mode)
        self._hooks.observer = observer
        discovery = self.patch.discovery
        discovery.start() if discovers else discovery.pause()
        trial: Trial | None = None
        leaking: Trial | None = None
        has_passed = False
        try:
            for _ in range(MOST_REPEATS):
                if trial is not None and trial.failure is not None:
                    self.cleanse()
                has_passed |= trial is not None and trial.failure is None
                on_attempt()
                sees = mode is not None and mode.flavour == "operate"
                witness = make_witness() if make_witness is not None else None
                trial = self._attempt(
                    make_scheduler(),
                    is_recording,
                    sleeps_through,
                    sees_operations=sees,
                    witness=witness,
                    in_step_s=in_step_s,
                    signs=signs,
                )
                trial.has_passed_before = has_passed
                if leaking is not None and trial.record.ending in ("deadlock", "leak"):
                    return leaking  # whoever was left behind was ended with that run, and is waited for now
                if trial.record.ending == "leak":
                    leaking = trial
                if not keeps_error:
                    trial.let_go()
                gc.collect(0)  # so that the next run does not see what this one left in cycles
                if not self.patch.absorb(freeze_names=freeze_names) or trial.passing is not None:
                    break
            assert trial is not None, "at least one attempt is made"
            return trial
        finally:
            self._hooks.observer = None

    def cleanse(self) -> bool:
        """Run the given order once, to leave behind what a passing run leaves; return whether it passed."""
        trial = self._attempt(Sequential(), is_recording=False, sleeps_through=self.sleeps_through)
        trial.let_go()
        gc.collect(0)
        return trial.failure is None

    def run_freely(self, noise: Noise) -> Trial:
        """Run the body once in real threads and real time; threads call ``noise`` at points.

        Raises:
            Hung: somebody lost patience.
        """
        self.patch.install(self._plain_mode)
        self._outcomes.clear()
        error: BaseException | None = None
        record = Record()
        self._hooks.at_large = noise
        noise.start()
        try:
            with unhandled_in(record):
                self._body()
        except (KeyboardInterrupt, GeneratorExit, Hung):
            raise
        except BaseException as raised:
            if self.settings.is_interruption(raised):
                raise
            error = raised
        finally:
            self._hooks.at_large = None
            noise.stop()
        if error is not None and (passing := self.settings.passing_in(error)) is not None:
            return Trial(record, None, passing=passing)
        return Trial(record, judge(record, error, self.settings.is_assertion))

    def chosen(self) -> tuple[str, ...]:
        """Return what ``concur.choose`` gave in the latest run, in words."""
        return tuple(map(reprlib.repr, self._outcomes.chosen))

    def running_task(self) -> int | None:
        """Return the number of the task that runs now; ``None`` while the body is the only one that lives."""
        execution = self._hooks.active
        if execution is None or all(task.has_ended for task in execution.tasks[1:]):
            return None
        return execution.current.id

    def mode(self, *, is_focused: bool = False, flavour: Flavour = "countdown") -> Mode:
        """Return a mode at the test's granularity."""
        if not is_focused and flavour == "countdown":
            return self._plain_mode
        return Mode(flavour, self.settings.granularity, is_focused)

    def _attempt(
        self,
        scheduler: Scheduler,
        is_recording: bool,
        sleeps_through: SleepsThrough,
        *,
        sees_operations: bool = False,
        witness: Witness | None = None,
        in_step_s: float | None = None,
        signs: Signs | None = None,
    ) -> Trial:
        self.runs += 1
        settings = self.settings
        kind = SeeingExecution if sees_operations else Execution
        clock = self._clock.restarted()
        in_step_s = self.in_step_s if in_step_s is None else in_step_s
        if in_step_s:
            clock.keep_step(in_step_s)
        execution = kind(
            scheduler,
            self._hooks.countdown,
            clock,
            max_steps=settings.max_steps,
            explores_timeouts=settings.explores_timeouts,
            sleeps_through=sleeps_through,
            is_recording=is_recording,
            on_thread=partial(self._begin_in_thread, signs) if signs else self.patch.discovery.start_in_thread,
            has_foreign_threads=settings.foreign_threads,
            uses_threads_again=not self.patch.looks_at_threads,
            witness=witness,
            is_in_doubt=in_step_s > 0,
            known_places=self._known_places,
            patience_s=settings.patience_s,
            on_taken=getattr(self._hooks.observer, "note_taken", None),
        )
        self._outcomes.clear()
        error: BaseException | None = None
        result = None
        begin_alike()
        began, used_before = time.perf_counter(), time.process_time()
        self._hooks.active = execution
        try:
            with signs.looking_on() if signs is not None else nullcontext():
                result = execution.run(self._body)
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as raised:
            if settings.is_interruption(raised):
                raise
            error = raised.with_traceback(_below(raised.__traceback__))
        finally:
            self._hooks.active = None
        if clock.elapsed_ns > self.longest_ns:
            self.longest_ns = clock.elapsed_ns
        record = execution.record
        if record.ended and record.slept_over and record.task_count > self.cut_short[0]:
            self.cut_short = record.task_count, record.ended
        if record.ended:
            self.most_tasks_ended = max(self.most_tasks_ended, record.task_count)
        if record.broken is not None:
            raise InternalError(
                "pytest-concur itself went wrong while it ran this test, which says nothing of the test: "
                f"please report it with the lines above ({type(record.broken).__name__}: {record.broken})"
            ) from record.broken
        if error is not None and (passing := settings.passing_in(error)) is not None:
            return Trial(record, None, passing=passing)
        seconds = time.perf_counter() - began
        stood_s = seconds - (time.process_time() - used_before)
        failure = judge(record, error, settings.is_assertion)
        outcome = None
        if settings.compares_outcomes and record.ending == "completed":
            with self.patch.discovery.unheard():
                outcome = self._outcomes.comparable()
        return Trial(record, failure, outcome, result, seconds=seconds, stood_s=stood_s)

    def _begin_in_thread(self, signs: Signs) -> None:
        self.patch.discovery.start_in_thread()
        signs.look_on()


@contextmanager
def unhandled_in(record: Record) -> Iterator[None]:
    """Note what ends threads that run freely, unless the test sees to that itself."""

    def note(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
            record.unhandled.append((args.thread.name if args.thread is not None else "?", args.exc_value))

    before = threading.excepthook
    threading.excepthook = note
    try:
        yield
    finally:
        threading.excepthook = before


def _below(frames: types.TracebackType | None) -> types.TracebackType | None:
    """Return a traceback without this module's own frame, which would tie the exception into a cycle."""
    return frames.tb_next if frames is not None else None
