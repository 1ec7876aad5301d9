"""What hands out the schedulers of one test's runs."""

from __future__ import annotations

from typing import Protocol

from pytest_concur.model.schedule import Executed
from pytest_concur.model.turn import Scheduler


class Seen(Protocol):
    """What a strategy can learn from a run."""

    contested: int
    """Points passed while at least two tasks could run."""

    trouble: str | None
    """Why a search in which there was this run has not seen every order, whatever it tried, if so."""

    @property
    def executed(self) -> Executed: ...


class Strategy(Protocol):
    """Across runs: hands out schedulers and learns from what they saw."""

    def scheduler(self, index: int) -> Scheduler:
        """Return the scheduler of schedule number ``index``, from 0; the same for the same index and history."""
        ...

    def sees_operations(self, index: int) -> bool:
        """Whether that scheduler wants to be asked before each operation and to know what each task is about to do."""
        ...

    def learn(self, seen: Seen) -> None:
        """Take note of a finished run, that of the scheduler handed out last."""
        ...

    @property
    def is_exhausted(self) -> bool:
        """Whether nothing is left to hand out."""
        ...

    @property
    def trouble(self) -> str | None:
        """Why an exhausted strategy has not seen every order, if so."""
        ...
