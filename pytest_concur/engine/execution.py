"""One run: what its tasks do, what they wait for, how the run ends."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Sequence
from random import Random
from typing import Any, Literal
from weakref import ref

from pytest_concur.engine import carrier, departing, outside, signals
from pytest_concur.engine.clock import VirtualClock
from pytest_concur.engine.escapes import Escapes
from pytest_concur.engine.frames import waiting_of
from pytest_concur.engine.names import Names
from pytest_concur.engine.numbering import Numbering
from pytest_concur.engine.record import Ending
from pytest_concur.engine.task import Boot, Gathering, Resource, Sleep, Task
from pytest_concur.engine.turns import ON_ITS_WAY_S, listens
from pytest_concur.errors import TaskAborted
from pytest_concur.instrument.countdown import CAPACITY, Countdown
from pytest_concur.model.turn import UNLIMITED, Scheduler
from pytest_concur.model.waiting import Place, Waiting, has_cycle
from pytest_concur.model.witness import Witness

MOST_SLEEPS = 16
"""Sleeps in a row that a sequential run sleeps through before others get a turn: the task may be polling."""


SleepsThrough = Literal["all", "tasks", "nobody"]
"""Whose sleep lets time pass and goes on while others do not get a turn; ``tasks``: all but the body."""


MANY_WAITERS = 16
"""From so many on, looking each one up in a list takes longer than making a set of it."""


class Execution(Escapes):
    """The run of one body."""

    __slots__ = (
        "_chance",
        "_countdown",
        "_has_foreign_threads",
        "_names",
        "_on_thread",
        "_sleeps_through",
        "_uses_threads_again",
        "note_touch",
        "numbering",
        "on_taken",
        "patience_s",
        "polling_calls",
        "witness",
    )

    def __init__(
        self,
        scheduler: Scheduler,
        countdown: Countdown,
        clock: VirtualClock,
        *,
        max_steps: int = 20_000,
        explores_timeouts: bool = False,
        sleeps_through: SleepsThrough = "nobody",
        is_recording: bool = False,
        on_thread: Callable[[], None] = lambda: None,
        has_foreign_threads: Callable[[Collection[int | None]], bool] = lambda ours: False,
        uses_threads_again: bool = False,
        witness: Witness | None = None,
        is_in_doubt: bool = False,
        known_places: dict[str, float] | None = None,
        patience_s: float = outside.PATIENCE_S,
        on_taken: Callable[[Any, Place], None] | None = None,
    ) -> None:
        """
        Args:
            scheduler: Decides who goes on.
            countdown: The countdown that the rewritten code calls.
            clock: Virtual time, at its start.
            max_steps: Scheduling points before the run counts as endless.
            explores_timeouts: A time-out may fire although others can run.
            sleeps_through: Who goes on after a sleep without letting others run: in a sequential run.
            is_recording: Remember where switches happened (slower).
            on_thread: Called first in each thread of a task.
            has_foreign_threads: Whether threads other than those with the idents given might wake a task; asked before
                a deadlock is declared.
            uses_threads_again: Tasks that nobody knows by their threads may have those of earlier runs, made as new.
            witness: Is told what happens; only if the scheduler sees operations.
            patience_s: Real time that a process gets which the body starts.
            is_in_doubt, known_places: See :class:`Escapes`.
            on_taken: Is told of each lock that is taken, and where; only while recording.
        """
        super().__init__(
            scheduler,
            countdown,
            clock,
            max_steps=max_steps,
            explores_timeouts=explores_timeouts,
            is_recording=is_recording,
        )
        self._countdown = countdown
        self._sleeps_through: SleepsThrough = sleeps_through
        self._on_thread = on_thread
        self._has_foreign_threads = has_foreign_threads
        self._uses_threads_again = uses_threads_again
        self._names = Names()
        self._names.unique(self.tasks[0].name)
        self._chance: Random | None = None
        self.witness = witness
        self.is_in_doubt = is_in_doubt
        self.known_places = {} if known_places is None else known_places
        self.patience_s = patience_s
        self.on_taken = on_taken
        self.note_touch = getattr(scheduler, "note_touch", None)
        """Is told of accesses that are no operations, if the scheduler wants to know."""

        self.numbering = Numbering()
        self.polling_calls: set[int] = set()
        """Frames (by id) that call something behind which the interpreter polls; only at granularity "gil"."""

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
        except TaskAborted as aborted:
            if (interruption := self._interruption_behind(aborted)) is not None:
                raise interruption from None
            return None
        except BaseException:
            self.record.unfinished = [task.name for task in self.tasks[1:] if not task.has_ended and not task.daemon]
            raise
        finally:
            self._end()

    def _interruption_behind(self, error: BaseException) -> BaseException | None:
        """Return what a signal's handler raised, if the body met the end of its run while that unwound it."""
        behind: BaseException | None = error
        while behind is not None and behind is not self._interruption and not isinstance(behind, KeyboardInterrupt):
            behind = behind.__context__
        return behind

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
        woke_early = self._explores_timeouts and bool(segments) and segments[-1].task == main.id
        if not self.is_over and segments and (segments[-1].points is not None or woke_early):
            self._meter.settle()
            # else a replay would let the task go on that was preempted last, or others while the body waits
            self._note_segment(main)
        if self.current is not main:  # interrupted between handing over and waiting
            self._regain()
        elif left := self._left():
            self.record.ended = [ref(task.thread) for task in left if task.thread is not None]
            if any(task.ident is None for task in left):  # interrupted while it started a thread
                main.baton.acquire(timeout=ON_ITS_WAY_S)
            if not self.is_over or any(map(listens, left)):
                self._call_off()  # again, where the turn came back in the very moment of an interruption
                self._end_next()
                main.wait_for_turn()
        self._meter.settle()
        record = self.record
        record.contested, record.steps = self._meter.contested, self._meter.steps + self._meter.left
        record.has_run_ahead = self.clock.has_run_ahead
        record.task_count = len(self.tasks)
        if self.witness is not None or self.is_recording:
            record.names = [task.name for task in self.tasks]
        failed = [(task, task.exception) for task in self.tasks if task.exception is not None]
        record.unhandled = [
            (task.name, error) for task, error in failed if task.is_unhandled and not isinstance(error, SystemExit)
        ]
        if record.ending != "completed":
            record.failed = [(task.name, error) for task, error in failed]
        for lock in self.locks.values():
            lock.reset()
        self.locks.clear()
        self.numbering.forget()  # the next run must not see what only this one kept alive
        self._countdown.arm(CAPACITY)

    def _stuck(self) -> None:
        """Nobody can run and no time-out is due: a deadlock, or threads left behind that nobody will ever wake."""
        waiting = self._waiting()
        if self._is_draining and not has_cycle(waiting):
            self.record.leaked = self._left_behind()
            body = self.tasks[0].name  # it has returned: it is we who wait for the others
            self._finish_early("leak", [each for each in waiting if each.task != body])
        else:
            self._finish_early("deadlock", waiting)

    def _finish_early(self, ending: Ending, waiting: list[Waiting]) -> None:
        """End the run because of a task that cannot go on; it waits for its turn next, or has ended."""
        self.record.ending = ending
        self.record.waiting = waiting
        self._call_off()
        self._end_next()

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
        self._remove_enabled(me)
        if self._may_time_out_early(me):
            self._hold_up(me)
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
        if not self._find_somebody() and not self._find_woken_from_outside():
            if self.may_be_woken():
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

    def _find_woken_from_outside(self) -> bool:
        return self._find_freed_by_going() or self._find_woken_by_signal()

    def _find_woken_by_signal(self) -> bool:
        """Whether a signal that a task has sent is on its way to a handler, which wakes a task from the main thread."""
        if self._externals or self.current.id == 0 or not signals.are_handled():
            return False
        signals.wait()
        return self._notice_foreign_release()

    def _find_freed_by_going(self) -> bool:
        """Whether threads that have no task any more, now gone, have freed what a task waits for."""
        if self._externals or not departing.any_left():
            return False
        departing.wait()
        return self._notice_foreign_release()

    def may_be_woken(self) -> bool:
        """Whether anything outside control might yet wake a task, or time that is yet to pass."""
        if self._externals or self._has_foreign_threads([task.ident for task in self.tasks]) or departing.any_left():
            return True
        if not self.clock.is_in_step:
            return False
        if any(task.deadline_ns is not None for task in self.tasks):
            return True
        return signals.are_handled() and not has_cycle(self._waiting())

    def _waiting(self) -> list[Waiting]:
        return [waiting_of(task, names=self.is_recording) for task in self.tasks if task.waiting_for is not None]

    def end_stuck(self) -> None:
        """Nobody has the turn, and nobody ever will: called by the watchdog."""
        self.is_idle = False
        self._stuck()

    def wake(self, resource: Resource) -> None:
        """``resource`` changed: its waiters, if there are any, may try again."""
        if not resource.waiters:
            return
        enabled = self._looked_up_in(resource.waiters)
        woken = [task for task in resource.waiters if task.id not in enabled and not task.is_external]
        if woken:
            self._meter.settle()
            for task in woken:
                self._add_enabled(task)
            self._rearm()

    def taken(self, resource: Resource) -> None:
        """``resource`` is taken: its waiters need not try until it is free again."""
        if not resource.waiters:
            return
        enabled = self._looked_up_in(resource.waiters)
        held_back = [
            task for task in resource.waiters if task.id in enabled and not task.timed_out and task is not self.current
        ]
        if held_back:
            self._meter.settle()
            for task in held_back:
                del self._enabled[bisect_left(self._enabled, task.id)]
                if task.stands or self._may_time_out_early(task):
                    self._hold_up(task)
            self._rearm()

    def _looked_up_in(self, waiters: Sequence[Task]) -> Collection[int]:
        """Return who can run, to look up each of those in: a run of a thousand tasks must not take minutes."""
        return self._enabled if len(waiters) < MANY_WAITERS else frozenset(self._enabled)

    def sleep(self, seconds: float) -> None:
        """Virtual ``time.sleep``: the task stops until nobody else can run and its time has come."""
        if self.is_over:
            self._tell_over()
        if seconds <= 0:
            self.switch(gives_way=True)
            return
        self.point()
        if self._is_slept_through() and self._sleeps < MOST_SLEEPS:
            self._sleeps += 1
            deadline = self.clock.deadline(seconds)
            if lacks := self.clock.lacks_ns(deadline):
                self._note_outside(Sleep(seconds).describe(), self._place_of(self.current))
                outside.wait(lacks / 1e9)
            self.clock.jump_to(deadline)
            self.clock_was_read()
            self.record.slept_over |= self._meter.is_contested
            return
        self.block(Sleep(seconds), self.clock.deadline(seconds))

    def _is_slept_through(self) -> bool:
        return self._sleeps_through == "all" or (self._sleeps_through == "tasks" and self.current.id > 0)

    def clock_was_read(self) -> None:
        """Reading lets time creep: somebody's deadline may have come."""
        self.record.reads_clock = True
        if self.clock.was_held_back:
            self._note_outside("a loop that reads the clock", self._place_of(self.current))
        now = self.clock.elapsed_ns
        if any(t.deadline_ns is not None and t.deadline_ns <= now and t.id not in self._enabled for t in self.tasks):
            self._meter.settle()
            self._fire_due_timers()
            self._rearm()

    # ---- starting and ending tasks ----

    def spawn(
        self,
        name: str,
        function: Callable[[], Any],
        *,
        daemon: bool = False,
        handle: Any = None,
        is_bare: bool = False,
    ) -> Task:
        """Start a task; it stands before its first step and can run.

        Args:
            name: A name for reports; made unique.
            function: What it does.
            daemon: The run does not wait for its end.
            handle: CPython 3.13's handle of a ``threading.Thread``, which is to own the OS thread.
            is_bare: Nobody is to know its thread.
        """
        if self.is_over:
            self._tell_over()
        if len(self.tasks) == 1:
            self.numbering.end_early()
        task = Task(len(self.tasks), self._names.unique(name), function, daemon=daemon)
        if is_bare:
            task.is_bare = True
        self._meter.settle()
        self.tasks.append(task)
        carrier.carry(task, self._run_task, handle, may_be_used_again=is_bare and self._uses_threads_again)
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
        if not self._externals:
            self._meter.pace = None  # nobody is asked, who sees operations neither
        self._hand_over(task, UNLIMITED)
        self.record.switches -= 1
        try:
            self._wait_for_turn(me)
        finally:
            task.boots = me.waiting_for = None
            self._set_pace()
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
        self._set_pace()
        self.pending.pop(task.id, None)
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

    def _run_task(self, task: Task) -> bool:
        """The whole life of a task, from its first turn on; return whether its thread may carry another."""
        __tracebackhide__ = True
        try:
            if not self.is_over:
                self._on_thread()
                function, task.function = task.function, None
                task.result = function() if function is not None else None
                del function  # what it refers to is nobody's any more
        except TaskAborted:
            pass
        except BaseException as error:
            if not self.is_over:  # else it was raised on being told to unwind
                task.exception = error
        try:
            departing.drop_dummy()
            self._end_task(task)
        except Exception as error:  # ours: with this thread the turn would be gone
            self.record.broken, task.has_ended = error, True
            self._call_off()
            self._end_next()
        return not self.is_over  # else somebody may have told it to go on, or sent it an exception, too late

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
        self._remove_enabled(task)
        self.pending.pop(task.id, None)
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
        if self._find_somebody() or self._find_woken_from_outside():
            following, points = self._ask()
            self._hand_over(following, points)
        elif self.may_be_woken():
            self._idle()
        else:
            self._stuck()

    # ---- what is alike in every run ----

    @property
    def chance(self) -> Random:
        """What the system's random numbers are in this run."""
        if self._chance is None:
            self._chance = Random(0)
        return self._chance
