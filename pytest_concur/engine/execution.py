"""One run: who may go on, who waits for what, how the run ends.

Exactly one task runs at a time; all others wait for their baton. Whoever runs decides, when its turn is over, who is
next, and hands over. So the state below needs no lock: only the holder of the turn touches it. The exception is the
watchdog, which takes the turn away from a task that is blocked outside control: it looks and acts without letting the
GIL go in between.

A run that is over early ends its tasks one by one: each parked task is woken, raises :class:`TaskAborted`, unwinds its
``finally`` and ``with`` blocks, and passes the baton on. The test's own body comes last.
"""

from __future__ import annotations

import sys
from bisect import insort
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, ClassVar, NoReturn

from pytest_concur.engine import carrier
from pytest_concur.engine.clock import VirtualClock
from pytest_concur.engine.fairness import SHARE, RoundRobin, state_of
from pytest_concur.engine.frames import place_of, site_of, waiting_of
from pytest_concur.engine.meter import Meter
from pytest_concur.engine.names import Names
from pytest_concur.engine.numbering import Numbering
from pytest_concur.engine.record import Ending, Record
from pytest_concur.engine.task import Boot, Gathering, Resource, Sleep, Task
from pytest_concur.errors import TaskAborted
from pytest_concur.instrument.countdown import CAPACITY, Countdown
from pytest_concur.model.operation import Operation
from pytest_concur.model.schedule import Segment
from pytest_concur.model.turn import UNLIMITED, Moment, Scheduler
from pytest_concur.model.waiting import Place, Waiting, has_cycle
from pytest_concur.model.witness import Witness

MOST_SLEEPS = 16
"""Sleeps in a row that a sequential run sleeps through before others get a turn: the task may be polling."""

POINTS_TO_UNWIND = 1 << 12
"""Points between two reminders to a task that its run is over."""

MOST_RAISES = 50
"""Times a task is told that its run is over before it is left behind."""

INTERRUPT_PATIENCE_S = 5.0
"""Wall time that an interrupted main thread gives the other tasks to unwind."""


class Execution:
    """The run of one body."""

    __slots__ = (
        "_chance",
        "_countdown",
        "_enabled",
        "_explores_timeouts",
        "_externals",
        "_fair",
        "_has_foreign_threads",
        "_held_up",
        "_is_draining",
        "_meter",
        "_moment",
        "_names",
        "_on_thread",
        "_scheduler",
        "_sleeps",
        "_sleeps_through",
        "_tick",
        "beat",
        "clock",
        "current",
        "current_ident",
        "is_idle",
        "is_over",
        "is_recording",
        "locks",
        "numbering",
        "pending",
        "polling_calls",
        "record",
        "tasks",
        "witness",
    )

    sees_operations: ClassVar[bool] = False
    """The scheduler is asked before each operation, and told what every task is about to do."""

    def __init__(
        self,
        scheduler: Scheduler,
        countdown: Countdown,
        clock: VirtualClock,
        *,
        max_steps: int = 20_000,
        explores_timeouts: bool = False,
        sleeps_through: bool = False,
        is_recording: bool = False,
        on_thread: Callable[[], None] = lambda: None,
        has_foreign_threads: Callable[[Execution], bool] = lambda execution: False,
        witness: Witness | None = None,
    ) -> None:
        """
        Args:
            scheduler: Decides who goes on.
            countdown: The countdown that the rewritten code calls.
            clock: Virtual time, at its start.
            max_steps: Scheduling points before the run counts as endless.
            explores_timeouts: A time-out may fire although others can run.
            sleeps_through: A sleeping task lets time pass and goes on, others do not get a turn: a sequential run.
            is_recording: Remember where switches happened (slower).
            on_thread: Called first in each thread of a task.
            has_foreign_threads: Whether threads that nobody controls might wake a task; asked before a deadlock is
                declared.
            witness: Is told what happens; only if the scheduler sees operations.
        """
        # nothing here may refer to the run itself: after thousands of runs, collecting cycles would take its time
        self.clock = clock
        self.record = Record()
        self.is_recording = is_recording
        self.is_over = False
        """The run has ended early; whoever still runs is to unwind."""

        self.tasks: list[Task] = []
        self._names = Names()
        self.locks: dict[int, Any] = {}
        """Controlled counterparts by the id of the real object, which they keep alive."""

        self.polling_calls: set[int] = set()
        """Frames (by id) that call something behind which the interpreter polls; only at granularity "gil"."""

        self.beat = 0
        """Grows with every decision."""

        self._scheduler = scheduler
        self._countdown = countdown
        self._tick = countdown.tick
        self._meter = Meter(countdown, max_steps)
        self._explores_timeouts = explores_timeouts
        self._sleeps_through = sleeps_through
        self._on_thread = on_thread
        self._has_foreign_threads = has_foreign_threads
        self._enabled: list[int] = []  # invariant: sorted; tasks that can run, the running one included
        self._moment = Moment(self._enabled)
        self.witness = witness
        self.pending = self._moment.pending
        """What each task is about to do, by number; filled only if the scheduler sees operations."""

        # tasks that stand before what is taken; where nobody sees operations they could go on, to block at once, and
        # points must count alike
        self._held_up = 0
        self._sleeps = 0  # sleeps in this turn that it slept through
        self._fair: RoundRobin | None = None
        self._externals: dict[int, Task] = {}  # by ident: tasks that run or block outside control
        self._is_draining = False
        self.numbering = Numbering()
        self._chance: Random | None = None
        self.is_idle = False
        """Nobody under control can run; something outside may wake somebody."""

        self._set_pace()
        main = Task(0, self._names.unique("main"), lambda: None)
        main.ident = carrier.get_ident()
        self.tasks.append(main)
        self._enabled.append(0)
        self.current = main
        self.current_ident: int | None = main.ident

    # ---- the run as a whole; called by the thread of task 0 ----

    def run(self, body: Callable[[], Any]) -> Any:
        """Run ``body`` as task 0 and then everything it left behind; return its result or raise what it raised.

        ``record.ending`` says how the run ended; if not ``completed``, :class:`TaskAborted` has unwound the body and
        the result is ``None``.
        """
        self._meter.arm(UNLIMITED)
        try:
            result = body()
            self._drain()
            return result
        except TaskAborted:
            return None
        finally:
            self._end()

    def _drain(self) -> None:
        """Let the threads that the body left behind run to their end; daemons may stay."""
        self._is_draining = True
        for task in self.tasks:  # grows while it is walked
            if task.id and not task.daemon:
                self.join(task)
        self.record.held_locks = [lock.describe() for lock in self.locks.values() if lock.is_left_held()]

    def _end(self) -> None:
        """End whoever is left, and leave no lock of this run held."""
        main, segments = self.tasks[0], self.record.segments
        if not self.is_over and segments and segments[-1].points is not None:
            self._meter.settle()
            self._note_segment(main)  # else a replay would let the task go on that was preempted last
        if self.current is not main:  # interrupted between handing over and waiting
            self._regain()
        elif not self.is_over and any(not task.has_ended for task in self.tasks[1:]):
            self._call_off()
            self._end_next()
            main.wait_for_turn()
        self._meter.settle()
        record = self.record
        record.contested, record.steps = self._meter.contested, self._meter.steps
        record.task_count = len(self.tasks)
        if self.witness is not None:
            record.names = [task.name for task in self.tasks]
        record.unhandled = [(t.name, t.exception) for t in self.tasks if t.is_unhandled and t.exception is not None]
        for lock in self.locks.values():
            lock.reset()
        self.locks.clear()
        self.numbering.forget()  # the next run must not see what only this one kept alive
        self._countdown.arm(CAPACITY)

    # ---- points and decisions; called by the running task ----

    def point(self) -> None:
        """A scheduling point: mostly one C call."""
        if self._tick() is not None:
            self.switch()

    def operate(self, operation: Operation) -> None:
        """A scheduling point before an operation; which one matters to a scheduler that sees operations."""
        self.point()

    def pass_unasked(self) -> None:
        """A scheduling point that makes no difference; it matters only where nobody sees operations."""
        self.point()

    def switch(self, *, gives_way: bool = False) -> None:
        """The countdown has hit, or the task gives way: ask the scheduler who goes on."""
        if self.is_over:
            self._tell_over()
        meter = self._meter
        meter.settle()
        if meter.steps >= meter.limit:
            gives_way |= self._look_after_long_run()
        if meter.is_contested or self.sees_operations:
            self._decide(gives_way)
        else:
            meter.pass_point(UNLIMITED)

    def _look_after_long_run(self) -> bool:
        """See what is due; return whether the running task may be spinning."""
        meter = self._meter
        if meter.steps >= meter.fair_from:
            self._become_fair()
        if meter.steps >= meter.time_check:
            self._advance_time()
            meter.note_progress()
        return meter.is_spinning()

    def choose(self, count: int) -> int:
        """Let the scheduler pick one of ``count`` options."""
        try:
            answer = self._scheduler.choose(count)
        except Exception as error:
            answer = self._do_without(error).choose(count)
        self.record.choices.append(answer)
        return answer

    def _rearm(self) -> None:
        """The set of tasks that can run has changed."""
        meter = self._meter
        meter.note_progress()
        meter.is_contested = is_contested = len(self._enabled) + self._held_up > 1
        meter.arm(0 if is_contested else UNLIMITED)

    def _decide(self, gives_way: bool) -> None:
        """The running task could go on, and so could others: ask who does."""
        me = self.current
        task, points = self._ask(me.id, gives_way)
        if task is me:
            self._meter.pass_point(points)
            return
        self._note_segment(me, is_preempted=True)
        self._hand_over(task, points)
        self._wait_for_turn(me)

    def _ask(self, current: int | None = None, yielded: bool = False) -> tuple[Task, int]:
        """Ask the scheduler; ``current``: the task that could go on."""
        self.beat += 1
        moment, meter = self._moment, self._meter
        moment.current, moment.yielded, moment.contested = current, yielded, meter.steps - meter.lonely
        if self._explores_timeouts:
            moment.timed = [
                task.id for task in self.tasks if task.deadline_ns is not None and task.id not in self._enabled
            ]
        try:
            number, points = (self._fair or self._scheduler).next_turn(moment)
            task = self.tasks[number]
            if number not in self._enabled:  # its time-out fires early
                assert task.deadline_ns is not None, "the scheduler chose a task that cannot run"
                task.timed_out = True
                self._add_enabled(task)
        except Exception as error:
            return self.tasks[self._do_without(error).next_turn(moment)[0]], 0
        return task, points

    def _do_without(self, error: Exception) -> RoundRobin:
        """The scheduler went wrong: neither the program nor anybody who waits for a turn may get to feel it."""
        self.record.broken = error
        self._fair = RoundRobin()
        self._set_pace()
        return self._fair

    def _hand_over(self, task: Task, points: int) -> None:
        """Make ``task`` the running one and arm for its turn; the caller then stops or ends."""
        self.current, self.current_ident = task, task.ident
        self._sleeps = 0
        self._meter.begin_turn(points)
        self.record.switches += 1
        task.go_on()

    def _wait_for_turn(self, me: Task) -> None:
        try:
            me.wait_for_turn()
        except BaseException:  # only the main thread: a signal handler raised (Ctrl-C, a time-out of the test)
            self._regain()
            raise
        if self.is_over:
            self._tell_over()

    def _note_segment(self, task: Task, *, is_preempted: bool = False) -> None:
        if self._fair is not None:
            return  # fair turns follow from the step count alone
        record, meter = self.record, self._meter
        points = meter.steps - meter.lonely - meter.turn_began
        record.segments.append(Segment(task.id, points if is_preempted else None))
        record.passed.append(points)
        if is_preempted and self.is_recording:
            record.sites.append(site_of(sys._getframe(2)))

    # ---- blocking; called by the running task ----

    def block(self, resource: Resource, deadline_ns: int | None = None) -> bool:
        """Stop the running task until ``resource`` is worth another look.

        Returns:
            False if ``deadline_ns`` came first.
        """
        if self.is_over:
            self._tell_over()
        me = self.current
        if self.sees_operations:
            self.pending[me.id] = resource.operation
        self._meter.settle()
        if self._meter.steps >= self._meter.limit:
            self._look_after_long_run()  # tasks may go in circles that block before a question is due
        me.waiting_for, me.deadline_ns = resource, deadline_ns
        resource.waiters.append(me)
        self._enabled.remove(me.id)
        self._meter.is_contested = len(self._enabled) + self._held_up > 1
        self._note_segment(me)
        try:
            self._give_turn_away(me)
        finally:
            resource.waiters.remove(me)
            me.waiting_for = me.deadline_ns = None
        timed_out, me.timed_out = me.timed_out, False
        return not timed_out

    def _give_turn_away(self, me: Task) -> None:
        """The running task cannot go on; somebody else runs until it can and is chosen."""
        if not self._find_somebody():
            if self._externals or self._has_foreign_threads(self):
                self._idle()
                self._wait_for_turn(me)
                return
            self._stuck()
            self._wait_for_turn(me)
            return
        task, points = self._ask()
        if task is me:
            self._sleeps = 0
            self._meter.begin_turn(points)
            return
        self._hand_over(task, points)
        self._wait_for_turn(me)

    def _find_somebody(self) -> bool:
        """Whether anybody can run, after time has jumped to the next deadline if need be."""
        return bool(self._enabled) or self._advance_time() or self._notice_foreign_release()

    def _notice_foreign_release(self) -> bool:
        """Whether code that is not instrumented has freed what a task waits for: then it may try again."""
        for lock in list(self.locks.values()):
            if lock.waiters and lock.is_worth_a_try():
                self.record.uncontrolled.append((f"{lock.describe()} was released outside control", "another thread"))
                for task in lock.waiters:
                    if task.id not in self._enabled:
                        self._add_enabled(task)
        return bool(self._enabled)

    def wake(self, resource: Resource) -> None:
        """``resource`` changed: its waiters, if there are any, may try again."""
        for task in resource.waiters:
            if task.id not in self._enabled:
                self._meter.settle()
                self._add_enabled(task)
                self._rearm()

    def taken(self, resource: Resource) -> None:
        """``resource`` is taken: its waiters need not try until it is free again."""
        for task in resource.waiters:
            if task.id in self._enabled and not task.timed_out and task is not self.current:
                self._meter.settle()
                self._enabled.remove(task.id)
                if task.stands:
                    task.is_held_up = True
                    self._held_up += 1
                self._rearm()

    def _add_enabled(self, task: Task) -> None:
        if task.is_held_up:
            task.is_held_up = False
            self._held_up -= 1
        insort(self._enabled, task.id)
        self._meter.is_contested = len(self._enabled) + self._held_up > 1

    def sleep(self, seconds: float) -> None:
        """Virtual ``time.sleep``: the task stops until nobody else can run and its time has come."""
        if self.is_over:
            self._tell_over()
        if seconds <= 0:
            self.switch(gives_way=True)
            return
        self.point()
        if self._sleeps_through and self._sleeps < MOST_SLEEPS:
            self._sleeps += 1
            self.clock.jump_to(self.clock.deadline(seconds))
            self.clock_was_read()
            return
        self.block(Sleep(seconds), self.clock.deadline(seconds))

    # ---- time ----

    def _advance_time(self) -> bool:
        """Jump to the next deadline and let those whose time it is run; False if there is none."""
        deadlines = [t.deadline_ns for t in self.tasks if t.deadline_ns is not None and t.id not in self._enabled]
        if not deadlines:
            return False
        self.clock.jump_to(min(deadlines))
        self._meter.note_progress()
        self._fire_due_timers()
        return True

    def _fire_due_timers(self) -> None:
        for task in self.tasks:
            is_due = task.deadline_ns is not None and task.deadline_ns <= self.clock.elapsed_ns
            if is_due and task.id not in self._enabled:
                task.timed_out = True
                self._add_enabled(task)

    def clock_was_read(self) -> None:
        """Reading lets time creep: somebody's deadline may have come."""
        self.record.reads_clock = True
        now = self.clock.elapsed_ns
        if any(t.deadline_ns is not None and t.deadline_ns <= now and t.id not in self._enabled for t in self.tasks):
            self._meter.settle()
            self._fire_due_timers()
            self._rearm()

    # ---- starting and ending tasks ----

    def spawn(self, name: str, function: Callable[[], Any], *, daemon: bool = False, handle: Any = None) -> Task:
        """Start a task; it stands before its first step and can run.

        ``handle``: CPython 3.13's handle of a ``threading.Thread``, which is to own the OS thread.
        """
        if self.is_over:
            self._tell_over()
        task = Task(len(self.tasks), self._names.unique(name), function, daemon=daemon)
        self._meter.settle()
        self.tasks.append(task)
        carrier.carry(task, self._run_task, handle)
        self._add_enabled(task)
        self._rearm()
        if self.witness is not None:
            self.witness.started(self.current.id, task.id)
        return task

    def boot(self, task: Task) -> None:
        """Let a ``threading.Thread`` that was just spawned run up to its ``run`` method, without a decision."""
        me = self.current
        task.boots = Boot(task)
        self._meter.settle()
        turn = self._meter.interrupt_turn()
        me.waiting_for = task.boots
        task.boots.waiters.append(me)
        self._enabled.remove(me.id)
        self._meter.is_contested = False
        self._hand_over(task, UNLIMITED)
        self.record.switches -= 1
        try:
            self._wait_for_turn(me)
        finally:
            task.boots = me.waiting_for = None
        self._meter.resume_turn(turn)
        self._rearm()

    def booted(self) -> None:
        """The running thread has reached its ``run`` method: its starter goes on."""
        task = self.current
        boot = task.boots
        if boot is None or self.is_over:
            return
        starter = boot.waiters.pop()
        self._meter.settle()
        self._add_enabled(starter)
        self._hand_over(starter, 0)
        self._wait_for_turn(task)

    def join(self, task: Task, deadline_ns: int | None = None) -> bool:
        """Wait for a task's end; False if ``deadline_ns`` came first."""
        while not task.has_ended and self.block(task, deadline_ns):
            pass
        if task.has_ended:
            self.seen_ended(task)
        return task.has_ended

    def seen_ended(self, task: Task) -> None:
        """The running task knows that ``task`` has ended."""
        if self.witness is not None:
            self.witness.joined(self.current.id, task.id)

    def join_all(self, tasks: Sequence[Task]) -> None:
        """Wait until all these tasks have ended; a task can be waited for like this once."""
        gathering = Gathering(tasks)
        while gathering.left:
            self.block(gathering)
        for task in tasks:
            self.seen_ended(task)

    def _run_task(self, task: Task) -> None:
        """The whole life of a task's thread, from its first turn on."""
        try:
            if not self.is_over:
                self._on_thread()
                function, task.function = task.function, None
                task.result = function() if function is not None else None
                del function  # what it refers to is nobody's any more
        except TaskAborted:
            pass
        except BaseException as error:
            task.exception = error
        try:
            self._end_task(task)
        except Exception as error:  # ours: with this thread the turn would be gone
            self.record.broken, task.has_ended = error, True
            self._call_off()
            self._end_next()

    def _end_task(self, task: Task) -> None:
        if task.is_external:
            try:
                self.rejoin(task)
            except TaskAborted:
                pass
            if self.current is not task:  # the run ended without it
                task.has_ended = True
                return
        self._meter.settle()
        task.has_ended = True
        self._enabled.remove(task.id)
        self.pending.pop(task.id, None)
        self._meter.is_contested = len(self._enabled) + self._held_up > 1
        if self.is_over:
            self._end_next()
            return
        self._note_segment(task)
        waiters = task.waiters
        if (gathering := task.gathering) is not None:
            task.gathering = None
            gathering.left.remove(task)
            if not gathering.left:
                waiters = [*waiters, *gathering.waiters]
        for waiter in waiters:
            if waiter.id not in self._enabled:
                self._add_enabled(waiter)
        if self._find_somebody():
            following, points = self._ask()
            self._hand_over(following, points)
        elif self._externals or self._has_foreign_threads(self):
            self._idle()
        else:
            self._stuck()

    # ---- the run ends early ----

    def _stuck(self) -> None:
        """Nobody can run and no time-out is due: a deadlock, or threads left behind that nobody will ever wake."""
        waiting = [waiting_of(task) for task in self.tasks if task.waiting_for is not None]
        if self._is_draining and not has_cycle(waiting):
            self.record.leaked = self._left_behind()
            self._finish_early("leak", waiting)
        else:
            self._finish_early("deadlock", waiting)

    def _left_behind(self) -> list[str]:
        return [task.name for task in self.tasks[1:] if not task.has_ended and not task.daemon]

    def _become_fair(self) -> None:
        """The run is long: from now on everybody gets the same share, until the step limit."""
        if self._fair is None:
            self._fair = RoundRobin()
            self._set_pace()
        self._fair.note(self.current.id, state_of(sys._getframe(2)))
        if self._meter.steps < self._meter.max_steps:
            return
        ending: Ending = "livelock" if self._fair.is_going_in_circles(self._enabled) else "step-limit"
        waiting = [waiting_of(task) for task in self.tasks if task.waiting_for is not None]
        if self._is_draining and ending == "step-limit":
            ending, self.record.leaked = "leak", self._left_behind()
        elif has_cycle(waiting):
            ending = "deadlock"  # of some, while others go on for ever
        self.record.running = [(task.name, self._place_of(task)) for task in self.tasks if task.id in self._enabled]
        self._end_from_here(ending, waiting)

    def _place_of(self, task: Task) -> Place:
        return place_of(sys._current_frames().get(task.ident or 0))

    def _call_off(self) -> None:
        self.is_over = True
        self._set_pace()

    def _set_pace(self) -> None:
        """Not everybody is under control, or the run is over, or it is long: questions come at other times."""
        if self._externals:
            self._meter.pace = 0  # somebody may come back at any time and must not run on unseen
        elif self.is_over:
            self._meter.pace = POINTS_TO_UNWIND
        else:
            self._meter.pace = SHARE if self._fair is not None else 0 if self.sees_operations else None

    def _finish_early(self, ending: Ending, waiting: list[Waiting]) -> None:
        """End the run because of a task that cannot go on; it waits for its turn next, or has ended."""
        self.record.ending = ending
        self.record.waiting = waiting
        self._call_off()
        self._end_next()

    def _end_from_here(self, ending: Ending, waiting: list[Waiting]) -> NoReturn:
        """End the run from a task that runs: it is the first to unwind, unless it is the body."""
        self.record.ending = ending
        self.record.waiting = waiting
        self._call_off()
        me = self.current
        if me.id == 0:
            self._end_next()
            me.wait_for_turn()
        self._tell_over()

    def _end_next(self) -> None:
        """Pass the baton to the next task that has to end; to the body when no other is left."""
        for task in self.tasks[1:]:
            if not task.has_ended and task.raised < MOST_RAISES and not task.is_external:
                break
        else:
            task = self.tasks[0]
        self.current, self.current_ident = task, task.ident
        if task.id not in self._enabled:
            insort(self._enabled, task.id)
        self._meter.arm(0)
        task.go_on()

    def _tell_over(self) -> NoReturn:
        """Unwind the calling task. One that will not hear is left behind: it stops here for good."""
        me = self.current
        me.raised += 1
        if me.id and me.raised >= MOST_RAISES:
            self.record.stragglers.append(me.name)
            self._end_next()
            while True:
                me.wait_for_turn()
        self._meter.arm(0)
        raise TaskAborted

    def _regain(self) -> None:
        """The main thread was interrupted while another task had the turn: end all others, as far as they listen."""
        main = self.tasks[0]
        self._call_off()
        self._meter.arm(0)
        if not main.baton.acquire(timeout=INTERRUPT_PATIENCE_S):
            self.record.stragglers += [task.name for task in self.tasks[1:] if not task.has_ended]
        self.current, self.current_ident = main, main.ident

    # ---- blocking outside control; called by the watchdog, and by tasks that come back ----

    @property
    def progress(self) -> tuple[int, int, bool]:
        """Changes whenever something was decided or counted; the watchdog compares it."""
        return self.beat, self._meter.steps, self.is_idle

    def take_turn_away(self, what: str, where: str) -> None:
        """The running task is blocked where nobody sees it: let others run until it comes back."""
        task = self.current
        assert task.ident is not None, "a running task has a thread"
        self.record.uncontrolled.append((what, where))
        task.is_external = True
        self._externals[task.ident] = task
        self._set_pace()
        self._meter.settle()
        self._enabled.remove(task.id)
        self._meter.is_contested = len(self._enabled) + self._held_up > 1
        self._note_segment(task)
        self.current_ident = None
        self.pick_somebody()

    def pick_somebody(self) -> None:
        """Nobody has the turn: give it to somebody who can run, if there is one."""
        if self._find_somebody():
            self.is_idle = False
            following, points = self._ask()
            self._hand_over(following, points)
        else:
            self._idle()

    def _idle(self) -> None:
        self.is_idle = True
        self.current_ident = None

    @property
    def has_externals(self) -> bool:
        """Whether a task runs or blocks outside control."""
        return bool(self._externals)

    @property
    def chance(self) -> Random:
        """What the system's random numbers are in this run."""
        if self._chance is None:
            self._chance = Random(0)
        return self._chance

    def stuck_on(self) -> list[Resource]:
        """What the blocked tasks wait for."""
        return [task.waiting_for for task in self.tasks if task.waiting_for is not None]

    def give_up(self, what: str, where: str) -> None:
        """The watchdog's last resort: end the run without a verdict."""
        self.record.uncontrolled.append((what, where))
        self.record.ending = "gave-up"
        self._call_off()
        if self.is_idle:
            self.is_idle = False
            self._end_next()
        else:
            self._meter.arm(0)

    def lose_turn(self) -> None:
        """The thread that had the turn is gone: nobody has it."""
        self.current.has_ended = True
        self._idle()

    def task_of_thread(self, ident: int) -> Task | None:
        """Return the task that a thread runs, once it has been outside control."""
        return self._externals.get(ident)

    def rejoin(self, task: Task) -> None:
        """A task that was outside control is back: it waits for a turn, unless nobody else has it."""
        assert task.ident is not None, "a running task has a thread"
        del self._externals[task.ident]
        self._set_pace()
        task.is_external = False
        if self.is_over and task.id and self.current is not task:
            return  # it unwinds beside the others; nobody waits for it
        self._add_enabled(task)
        if self.is_idle:
            self.is_idle = False
            self.current, self.current_ident = task, task.ident
            self._meter.begin_turn(0)
            self._rearm()
            return
        self._wait_for_turn(task)
