"""Who has the turn, who gets it next, and how it is passed on.

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
from typing import Any, ClassVar, NoReturn

from pytest_concur.engine import carrier, outside
from pytest_concur.engine.carrier import get_ident
from pytest_concur.engine.clock import VirtualClock
from pytest_concur.engine.fairness import SHARE, RoundRobin
from pytest_concur.engine.frames import place_of, site_of, waiting_of
from pytest_concur.engine.meter import Meter
from pytest_concur.engine.record import Ending, Record
from pytest_concur.engine.stacks import stacks
from pytest_concur.engine.state import state_of
from pytest_concur.engine.task import Task
from pytest_concur.errors import TaskAborted
from pytest_concur.instrument.countdown import Countdown
from pytest_concur.model.operation import Operation
from pytest_concur.model.schedule import Segment
from pytest_concur.model.turn import UNLIMITED, Moment, Scheduler
from pytest_concur.model.waiting import Place, Waiting, has_cycle

POINTS_TO_UNWIND = 1 << 12
"""Points between two reminders to a task that its run is over."""

MOST_RAISES = 50
"""Times a task is told that its run is over before it is left behind."""

INTERRUPT_PATIENCE_S = 5.0
"""Wall time that an interrupted main thread gives the other tasks to unwind."""

ON_ITS_WAY_S = 0.25
"""Wall time in which a baton arrives that another thread is just about to release, and a new thread tells its ident."""


class Turns:
    """The turns of one run."""

    __slots__ = (
        "_enabled",
        "_explores_timeouts",
        "_externals",
        "_fair",
        "_held_up",
        "_interruption",
        "_is_draining",
        "_meter",
        "_moment",
        "_scheduler",
        "_sleeps",
        "_tick",
        "beat",
        "clock",
        "current",
        "current_ident",
        "is_idle",
        "is_over",
        "is_recording",
        "locks",
        "pending",
        "record",
        "tasks",
    )

    sees_operations: ClassVar[bool] = False
    """The scheduler is asked before each operation, and told what every task is about to do."""

    def __init__(
        self,
        scheduler: Scheduler,
        countdown: Countdown,
        clock: VirtualClock,
        *,
        max_steps: int,
        explores_timeouts: bool,
        is_recording: bool,
    ) -> None:
        """The calling thread is that of task 0 and has the turn; the arguments are those of an ``Execution``."""
        # nothing here may refer to the run itself: after thousands of runs, collecting cycles would take its time
        self.clock = clock
        self.record = Record()
        self.is_recording = is_recording
        self.is_over = False
        """The run has ended early; whoever still runs is to unwind."""

        self.tasks: list[Task] = []
        self.locks: dict[int, Any] = {}
        """Controlled counterparts by the id of the real object, which they keep alive."""

        self.beat = 0
        """Grows with every decision."""

        self._scheduler = scheduler
        self._tick = countdown.tick
        self._meter = Meter(countdown, max_steps)
        self._explores_timeouts = explores_timeouts
        self._enabled: list[int] = []  # invariant: sorted; tasks that can run, the running one included
        self._moment = Moment(self._enabled)
        self.pending = self._moment.pending
        """What each task is about to do, by number; filled only if the scheduler sees operations."""

        # tasks that stand before what is taken: where nobody sees operations they could go on, to block at once, and
        # points must count alike; and those whose time-out may fire early
        self._held_up = 0
        self._sleeps = 0  # sleeps in this turn that it slept through
        self._fair: RoundRobin | None = None
        self._externals: dict[int, Task] = {}  # by ident: tasks that run or block outside control
        self._is_draining = False
        self._interruption: BaseException | None = None
        """What a signal's handler raised while the body waited for its turn."""

        self.is_idle = False
        """Nobody under control can run; something outside may wake somebody."""

        self._set_pace()
        main = Task(0, "main", lambda: None)
        main.ident = carrier.get_ident()
        self.tasks.append(main)
        self._enabled.append(0)
        self.current = main
        self.current_ident: int | None = main.ident

    # ---- points and decisions; called by the running task ----

    def point(self) -> None:
        """A scheduling point: mostly one C call."""
        if self._externals:
            # out of a ``with`` block, say; before the countdown, which is another run's when this one is over
            self.comes_back(get_ident())
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

    def comes_back(self, ident: int) -> bool:
        """See to it that the calling thread, if its task was outside control, goes on when it has the turn."""
        raise NotImplementedError

    def choose(self, count: int) -> int:
        """Let the scheduler pick one of ``count`` options."""
        try:
            answer = self._scheduler.choose(count)
        except Exception as error:
            answer = self._do_without(error).choose(count)
        self.record.choices.append(answer)
        return answer

    def _look_after_long_run(self) -> bool:
        """See what is due; return whether the running task may be spinning."""
        meter = self._meter
        if meter.steps >= meter.fair_from:
            self._become_fair()
        if meter.steps >= meter.time_check:
            self._advance_time()
            meter.note_progress()
        return meter.is_spinning()

    def _become_fair(self) -> None:
        """The run is long: from now on everybody gets the same share, until the step limit."""
        if self._fair is None:
            record, points = self.record, self._meter.contested - self._meter.turn_began
            record.segments.append(Segment(self.current.id, points))  # else a replay would go another way before
            record.passed.append(points)
            self._fair = RoundRobin()
            self._set_pace()
        self._fair.note(self.current.id, state_of(sys._getframe(2)))
        if self._meter.steps < self._meter.max_steps:
            return
        if self.clock.is_in_step:  # what is waited for may be on its way
            self._meter.extend()
            self._note_outside("a loop", self._place_of(self.current))
            outside.wait(outside.NAP_S)
            return
        ending: Ending = "livelock" if self._fair.is_going_in_circles(self._enabled) else "step-limit"
        waiting = [waiting_of(task) for task in self.tasks if task.waiting_for is not None]
        if self._is_draining and ending == "step-limit":
            ending, self.record.leaked = "leak", self._left_behind()
        elif has_cycle(waiting):
            ending = "deadlock"  # of some, while others go on for ever
        self.record.running = [(task.name, self._place_of(task)) for task in self.tasks if task.id in self._enabled]
        self._end_from_here(ending, waiting)

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
                task.id for task in self.tasks if self._may_time_out_early(task) and task.id not in self._enabled
            ]
        try:
            number, points = (self._fair or self._scheduler).next_turn(moment)
            task = self.tasks[number]
            if number not in self._enabled:
                self._fire_early(task)
        except Exception as error:
            return self.tasks[self._do_without(error).next_turn(moment)[0]], 0
        return task, points

    def _do_without(self, error: Exception) -> RoundRobin:
        """The scheduler went wrong: neither the program nor anybody who waits for a turn may get to feel it."""
        self.record.broken = error
        self._fair = RoundRobin()
        self._set_pace()
        return self._fair

    def _set_pace(self) -> None:
        """Not everybody is under control, or the run is over, or it is long: questions come at other times."""
        if self._externals:
            self._meter.pace = 0  # somebody may come back at any time and must not run on unseen
        elif self.is_over:
            self._meter.pace = POINTS_TO_UNWIND
        else:
            self._meter.pace = SHARE if self._fair is not None else 0 if self.sees_operations else None

    # ---- who can run ----

    def _add_enabled(self, task: Task) -> None:
        if task.is_held_up:
            task.is_held_up = False
            self._held_up -= 1
        insort(self._enabled, task.id)
        self._meter.is_contested = len(self._enabled) + self._held_up > 1

    def _remove_enabled(self, task: Task) -> None:
        self._enabled.remove(task.id)
        self._meter.is_contested = len(self._enabled) + self._held_up > 1

    def _may_time_out_early(self, task: Task) -> bool:
        return self._explores_timeouts and task.deadline_ns is not None

    def _hold_up(self, task: Task) -> None:
        """The task cannot run, but could be asked for: points passed by others are contested."""
        task.is_held_up = True
        self._held_up += 1
        self._meter.is_contested = len(self._enabled) + self._held_up > 1

    def _rearm(self) -> None:
        """The set of tasks that can run has changed."""
        meter = self._meter
        meter.note_progress()
        meter.is_contested = is_contested = len(self._enabled) + self._held_up > 1
        meter.arm(0 if is_contested else UNLIMITED)

    def _find_somebody(self) -> bool:
        """Whether anybody can run, after time has jumped to the next deadline if need be."""
        return bool(self._enabled) or self._advance_time() or self._notice_foreign_release()

    def _notice_foreign_release(self) -> bool:
        """Whether code that is not instrumented has freed what a task waits for: then it may try again."""
        for lock in list(self.locks.values()):
            # one whose handler of a signal waits for something else cannot go on before that returns
            waiting = [task for task in lock.waiters if task.waiting_for is lock and not task.is_external]
            waiters = [task for task in waiting if task.id not in self._enabled]
            if waiters and lock.is_worth_a_try():
                self.record.uncontrolled.append((f"{lock.describe()} was released outside control", "another thread"))
                for task in waiters:
                    self._add_enabled(task)
        return bool(self._enabled)

    def _advance_time(self) -> bool:
        """Jump to the next deadline and let those whose time it is run; False if there is none."""
        deadlines = [t.deadline_ns for t in self.tasks if t.deadline_ns is not None and t.id not in self._enabled]
        if not deadlines:
            return False
        if self.clock.lacks_ns(min(deadlines)):
            waiting = next(waiting_of(task) for task in self.tasks if task.deadline_ns == min(deadlines))
            self._note_outside(waiting.what, waiting.place)
            return False
        self.clock.jump_to(min(deadlines))
        self._meter.note_progress()
        self._fire_due_timers()
        return True

    def _note_outside(self, waiter: str, place: Place) -> None:
        """Real time must pass: what happens meanwhile is no matter of the schedule."""
        what = f"what {waiter} waits for, in real time,"
        if all(each != what for each, _ in self.record.uncontrolled):
            self.record.uncontrolled.append((what, str(place)))

    def _fire_early(self, task: Task) -> None:
        """Time passes, up to the task's time-out, although others could run: the machine is slow."""
        assert task.deadline_ns is not None, "the scheduler chose a task that cannot run"
        if self.is_recording and task.waiting_for is not None:
            self.record.timed_out_early.append(waiting_of(task, names=True))
        if self.clock.is_in_step:
            task.timed_out = True
            self._add_enabled(task)
        else:
            self.clock.jump_to(task.deadline_ns)
            self._fire_due_timers()

    def _fire_due_timers(self) -> None:
        for task in self.tasks:
            is_due = task.deadline_ns is not None and task.deadline_ns <= self.clock.elapsed_ns
            if is_due and task.id not in self._enabled:
                task.timed_out = True
                if not task.is_external:
                    self._add_enabled(task)

    # ---- the turn is passed ----

    def _hand_over(self, task: Task, points: int) -> None:
        """Make ``task`` the running one and arm for its turn; the caller then stops or ends."""
        self.current, self.current_ident = task, task.ident
        self._sleeps = 0
        self._meter.begin_turn(points)
        self.record.switches += 1
        try:
            task.go_on()
        except RuntimeError:
            pass  # it was told before, and a signal's handler on top of its wait keeps it from hearing

    def _wait_for_turn(self, me: Task) -> None:
        try:
            me.wait_for_turn()
        except BaseException as error:  # only the main thread: a signal handler raised (Ctrl-C, a test's time-out)
            self._interruption = error
            self._regain()
            raise
        if self.is_over:
            self._tell_over()

    def _regain(self) -> None:
        """The main thread was interrupted while it waited for its turn: end all others, as far as they listen."""
        main, is_idle = self.tasks[0], self.is_idle
        self.is_idle = False  # nobody else takes the turn
        if self.current is main:
            if not is_idle:  # its turn has come: the baton was taken just before, or is there, or on its way
                main.baton.acquire(timeout=ON_ITS_WAY_S)
            self.current_ident = main.ident
            return
        self._call_off()
        self._meter.arm(0)
        if is_idle:
            self._end_next()
        if not main.baton.acquire(timeout=INTERRUPT_PATIENCE_S):
            for task in self._left():
                self.record.stragglers.append(task.name)
                task.raised = MOST_RAISES  # nobody waits for it again
        self.current, self.current_ident = main, main.ident

    def _note_segment(self, task: Task, *, is_preempted: bool = False) -> None:
        if is_preempted:
            self._meter.leave_point()
        if self._fair is not None:
            return  # fair turns follow from the step count alone
        record, meter = self.record, self._meter
        points = meter.steps - meter.lonely - meter.turn_began
        record.segments.append(Segment(task.id, points if is_preempted else None))
        record.passed.append(points)
        if is_preempted and self.is_recording:
            record.sites.append(site_of(sys._getframe(2)))

    def _idle(self) -> None:
        self.is_idle = True
        self.current_ident = None

    # ---- the run is over ----

    def _call_off(self) -> None:
        self.is_over = True
        self._set_pace()

    def _tell_over(self) -> NoReturn:
        """Unwind the calling task. One that will not hear is left behind: it stops here for good."""
        if self.current_ident != get_ident():  # it was outside control when the run ended
            raise TaskAborted
        me = self.current
        me.raised += 1
        if me.id and me.raised >= MOST_RAISES:
            self.record.stragglers.append(me.name)
            self._end_next()
            while True:
                me.wait_for_turn()
        self._meter.arm(0)
        raise TaskAborted

    def _end_next(self) -> None:
        """Pass the baton to the next task that has to end; to the body when no other is left."""
        task = next(filter(listens, self._left()), self.tasks[0])
        self.current, self.current_ident = task, task.ident
        if task.id not in self._enabled:
            insort(self._enabled, task.id)
        self._meter.arm(0)
        if task.baton.locked():  # else the body was told before, and a signal's handler keeps it
            task.go_on()

    def _left(self) -> list[Task]:
        """The tasks that have not ended, without the body."""
        return [task for task in self.tasks[1:] if not task.has_ended]

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

    def _left_behind(self) -> list[str]:
        return [task.name for task in self.tasks[1:] if not task.has_ended and not task.daemon]

    def _place_of(self, task: Task) -> Place:
        return place_of(stacks().get(task.ident or 0))


def listens(task: Task) -> bool:
    """Whether a task unwinds if it gets the turn; one whose start was interrupted has no thread for that."""
    return task.raised < MOST_RAISES and not task.is_external and not task.has_ended and task.ident is not None
