"""A run whose scheduler is asked before each operation, and told what every task is about to do."""

from __future__ import annotations

from typing import ClassVar, Protocol

from pytest_concur.engine.carrier import get_ident
from pytest_concur.engine.execution import Execution
from pytest_concur.engine.task import Resource
from pytest_concur.model.operation import UNKNOWN, Operation


class Takeable(Resource, Protocol):
    """Something that one task takes from all others."""

    def is_freed_by_going(self) -> bool:
        """Whether it is worth a try once threads that have no task any more are gone."""
        ...


class SeeingExecution(Execution):
    """The run of one body, operation by operation."""

    __slots__ = ()

    sees_operations: ClassVar[bool] = True

    def point(self) -> None:
        """A scheduling point before nobody knows what."""
        self.operate(UNKNOWN)

    def operate(self, operation: Operation) -> None:
        """A scheduling point before an operation. The hot path of all strategies that see operations."""
        if self._externals:
            self.comes_back(get_ident())
        me, meter = self.current, self._meter
        number, steps = me.id, meter.steps
        self.pending[number] = operation
        is_usual = meter.pace == 0 and self._fair is None and not self._explores_timeouts
        if not is_usual or steps >= meter.limit or self.is_over:
            if meter.pace == 0 or self._tick() is not None:
                self.switch()
            return
        if len(self.tasks) == 1:  # what is done before there is anybody else comes first in every order
            meter.pass_asked()
            return
        moment, enabled = self._moment, self._enabled
        moment.current, moment.yielded, moment.contested = number, False, steps - meter.lonely
        try:
            chosen, _ = self._scheduler.next_turn(moment)
            assert chosen in enabled, "the scheduler chose a task that cannot run"
        except Exception as error:
            chosen, _ = self._do_without(error).next_turn(moment)
        if chosen == number:
            meter.pass_asked()
            return
        self.beat += 1
        self._note_segment(me, is_preempted=True)
        self._hand_over(self.tasks[chosen], 0)
        self._wait_for_turn(me)

    def stand_before(self, resource: Takeable) -> None:
        """A point before ``resource`` is taken: only who can take it goes on."""
        if self._meter.pace != 0:
            self.operate(resource.operation)
            return
        if self._externals:
            self.comes_back(get_ident())
        me = self.current
        self.pending[me.id] = resource.operation
        if not resource.is_worth_a_try() and not resource.is_freed_by_going():
            self.pass_unasked()  # and block at once
            return
        me.waiting_for, me.stands = resource, True
        resource.waiters.append(me)
        try:
            self.operate(resource.operation)
        finally:
            resource.waiters.remove(me)
            me.waiting_for, me.stands = None, False

    def pass_unasked(self) -> None:
        """A point that makes no difference: it counts, nobody is asked."""
        meter = self._meter
        if meter.pace != 0:
            self.operate(UNKNOWN)
        elif meter.steps >= meter.limit:  # a loop that has no other points must end, too
            self.pending[self.current.id] = UNKNOWN
            self.switch()
        else:
            meter.pass_asked()
