"""Tasks that block or run outside control: their turn goes to others until they come back.

Called by the watchdog, which sees them, and by the tasks themselves when they are back.
"""

from __future__ import annotations

import time

from pytest_concur.engine.task import Resource, Task
from pytest_concur.engine.turns import Turns
from pytest_concur.errors import TaskAborted

PATIENCE_S = 0.5
"""How long a task must stand still before it counts as blocked outside control."""

KNOWN_PATIENCE_S = 0.005
"""The same, at a place where that has happened before in this test."""

KNOWN_SLEEP_S = 0.03
"""How long who sleeps at such a place may do so before others get the turn."""

DOUBTFUL_PATIENCE_S = 0.01
"""The same, in a run where other tasks may be what is waited for."""


class Escapes(Turns):
    """The turns of one run, some of whose tasks may be outside control."""

    __slots__ = ("is_in_doubt", "known_places")

    is_in_doubt: bool
    """What a task waits for outside control may be what another task does: that one is let run soon."""

    known_places: dict[str, float]
    """Where tasks were blocked outside control, in this run and in others of the test, and the seconds for which who is
    about to wait there does so with the turn."""

    @property
    def progress(self) -> tuple[int, int, bool]:
        """Changes whenever something was decided or counted; the watchdog compares it."""
        return self.beat, self._meter.steps, self.is_idle

    def take_turn_away(self, what: str, where: str) -> None:
        """The running task is blocked where nobody sees it: let others run until it comes back."""
        task = self.current
        assert task.ident is not None, "a running task has a thread"
        self.known_places.setdefault(where, KNOWN_PATIENCE_S)
        self.record.uncontrolled.append((what, where))
        task.is_external = True
        task.left_ns = self.clock.elapsed_ns, time.monotonic_ns()
        self._externals[task.ident] = task
        self._set_pace()
        self._meter.settle()
        self._remove_enabled(task)
        self._note_segment(task)
        self.current_ident = None
        self.pick_somebody()

    def sleeps_outside(self, seconds: float, what: str, where: str) -> None:
        """The running task is about to sleep in real time: others get the turn, if they wait for long."""
        if self.is_over:
            self._tell_over()
        task = self.current
        if task.switches_before != self.record.switches:
            task.switches_before, task.slept_s = self.record.switches, 0.0
        task.slept_s += seconds
        patience = DOUBTFUL_PATIENCE_S if self.is_in_doubt else PATIENCE_S
        if where in self.known_places:
            patience = min(patience, KNOWN_SLEEP_S)
        if task.slept_s >= patience:
            self._give_own_turn_away(what, where)

    def waits_outside(self, what: str, where: str) -> None:
        """The running task has waited in vain and is about to wait on: others get the turn, next time at once."""
        if self.is_over:
            self._tell_over()
        self.known_places[where] = 0.0
        self._give_own_turn_away(what, where)

    def _give_own_turn_away(self, what: str, where: str) -> None:
        me = self.current
        try:
            self.take_turn_away(what, where)
        except BaseException:  # only the main thread: a signal's handler raised (Ctrl-C)
            if self.current is me and me.ident in self._externals and not self.is_idle:
                self._idle()  # nobody was told to go on: this one, as it unwinds, finds the turn free
            raise

    def pick_somebody(self) -> None:
        """Nobody has the turn: give it to somebody who can run, if there is one."""
        if self._find_somebody():
            self.is_idle = False
            following, points = self._ask()
            self._hand_over(following, points)
        else:
            self._idle()

    @property
    def has_externals(self) -> bool:
        """Whether a task runs or blocks outside control."""
        return bool(self._externals)

    def stuck_on(self) -> list[Resource]:
        """What the blocked tasks wait for."""
        return [task.waiting_for for task in self.tasks if task.waiting_for is not None]

    def comes_back(self, ident: int) -> bool:
        """Let the calling thread go on when its task has the turn; return false if it was not outside control either.

        Raises:
            TaskAborted: the run is over.
        """
        if self.current_ident == ident:
            return True  # also of the main thread, to which the turn was given to unwind while it was outside control
        task = self._externals.get(ident)
        if task is None:
            return False
        self.rejoin(task)
        if self.current_ident != ident:
            raise TaskAborted
        return True

    def rejoin(self, task: Task) -> None:
        """A task that was outside control is back: it waits for a turn, unless nobody else has it."""
        assert task.ident is not None, "a running task has a thread"
        del self._externals[task.ident]
        self._set_pace()
        task.is_external = False
        left, left_really = task.left_ns
        self.clock.catch_up(left + time.monotonic_ns() - left_really)
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
