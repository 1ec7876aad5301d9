"""Who comes back from outside control waits for a turn, unless it was given one there."""

from __future__ import annotations

import threading
import time

import pytest

from pytest_concur.engine.clock import VirtualClock
from pytest_concur.engine.execution import Execution
from pytest_concur.errors import TaskAborted
from pytest_concur.instrument.countdown import Countdown
from pytest_concur.strategies.sequential import Sequential

RESCUE_S = 5.0


def test_who_was_given_the_turn_outside_control_does_not_wait_for_another():
    """The body is blocked outside control when the run is given up, and is told to unwind."""
    execution = Execution(Sequential(), Countdown(), VirtualClock(0, 0))
    main = execution.tasks[0]
    rescue = threading.Timer(RESCUE_S, main.go_on)

    def body():
        execution.take_turn_away("a call", "a place")
        assert execution.is_idle
        execution.give_up("the run", "a place")
        assert main.baton.acquire(timeout=0)  # the turn is here, and is taken
        rescue.start()
        execution.point()

    began = time.monotonic()
    execution.run(body)

    assert execution.record.ending == "gave-up"
    assert time.monotonic() - began < RESCUE_S
    rescue.cancel()
    rescue.join()


def test_who_has_no_turn_is_told_that_the_run_is_over():
    execution = Execution(Sequential(), Countdown(), VirtualClock(0, 0))
    execution.is_over, execution.current_ident = True, None

    with pytest.raises(TaskAborted):
        execution.switch()
    assert execution.tasks[0].raised == 0
