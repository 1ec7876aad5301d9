"""A run ends at ``max_steps``, however often its tasks are switched."""

from __future__ import annotations

import pytest

from pytest_concur.engine.clock import VirtualClock
from pytest_concur.engine.execution import Execution
from pytest_concur.engine.seeing import SeeingExecution
from pytest_concur.instrument.countdown import Countdown
from pytest_concur.model.turn import Moment

MAX_STEPS = 1_000


class AlwaysAnother:
    """Never lets a task go on past a point if there is another one."""

    def next_turn(self, moment: Moment) -> tuple[int, int]:
        others = [task for task in moment.enabled if task != moment.current]
        return (others or moment.enabled)[0], 0

    def choose(self, count: int) -> int:
        return 0


@pytest.mark.parametrize("kind", [Execution, SeeingExecution])
def test_points_at_which_tasks_are_switched_count(kind):
    """Nobody ever passes a point in the turn that came to it."""
    execution = kind(AlwaysAnother(), Countdown(), VirtualClock(0, 0), max_steps=MAX_STEPS)
    passed = []

    def spin():
        while len(passed) < 5 * MAX_STEPS:  # else the test would not end
            execution.point()
            passed.append(len(passed))

    def body():
        for task in [execution.spawn("spinning", spin) for _ in range(3)]:
            execution.join(task)

    execution.run(body)

    assert execution.record.ending == "step-limit"
    assert MAX_STEPS <= execution.record.steps < 1.1 * MAX_STEPS
    assert len(passed) == pytest.approx(MAX_STEPS, rel=0.1)
