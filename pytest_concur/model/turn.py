"""The question a scheduler is asked, and its answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pytest_concur.model.operation import Operation

UNLIMITED = 1 << 40
"""Points of a turn that ends only when the task blocks, ends, or something changes."""


@dataclass(slots=True)
class Moment:
    """Where a run stands when it needs a decision. One object per run, updated in place: a hot path."""

    enabled: list[int]
    """Tasks that can run, in order of creation; never empty."""

    current: int | None = None
    """The task that ran last, if it can go on; ``None`` if it blocked or ended."""

    contested: int = 0
    """Scheduling points passed so far while at least two tasks could run."""

    yielded: bool = False
    """The current task gave way by itself (``sleep(0)``) or has run so long that it may be spinning."""

    pending: dict[int, Operation] = field(default_factory=dict)
    """What tasks are about to do; empty unless the scheduler sees operations. Who has no entry has just begun."""

    timed: Sequence[int] = ()
    """Blocked tasks whose time-out may fire early; only with ``timeouts="explore"``."""


class Scheduler(Protocol):
    """Decides one run. Pure: knows no threads and no clock; all chance comes from the generator it was given."""

    def next_turn(self, moment: Moment) -> tuple[int, int]:
        """Return the task to run (of ``enabled`` or ``timed``) and the points it may pass before the next question.

        The question comes earlier if the task blocks or ends, or if another task becomes able to run.
        """
        ...

    def choose(self, count: int) -> int:
        """Answer ``concur.choose``: an index below ``count``."""
        ...
