"""What a run leaves behind: how it ended, who ran when, what was seen on the way."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Thread
from typing import Literal
from weakref import ref

from pytest_concur.model.schedule import Executed, Schedule, Segment
from pytest_concur.model.waiting import Place, Waiting

Ending = Literal["completed", "deadlock", "livelock", "leak", "step-limit", "gave-up"]


@dataclass(slots=True)
class Record:
    """What a run leaves behind."""

    ending: Ending = "completed"
    segments: list[Segment] = field(default_factory=list)
    passed: list[int] = field(default_factory=list)
    """For each segment the contested points it passed."""

    choices: list[int] = field(default_factory=list)
    steps: int = 0
    contested: int = 0
    switches: int = 0
    waiting: list[Waiting] = field(default_factory=list)
    unhandled: list[tuple[str, BaseException]] = field(default_factory=list)
    """Exceptions that ended a thread, with the task's name."""

    failed: list[tuple[str, BaseException]] = field(default_factory=list)
    """Exceptions that had ended tasks before a run ended that did not complete, with the task's name."""

    unfinished: list[str] = field(default_factory=list)
    """Tasks that had not ended when the body failed."""

    held_locks: list[str] = field(default_factory=list)
    leaked: list[str] = field(default_factory=list)
    """Threads that were still alive when the body had returned and nobody could end them."""

    ended: list[ref[Thread]] = field(default_factory=list)
    """Threads that had not come to their end when the run had, and were ended with it."""

    running: list[tuple[str, Place]] = field(default_factory=list)
    """Tasks that could still run at the step limit, and where they stood."""

    uncontrolled: list[tuple[str, str]] = field(default_factory=list)
    """What blocked or ran outside control, and where."""

    timed_out_early: list[Waiting] = field(default_factory=list)
    """Waits that ended by their time-out although others could run; only when ``is_recording``."""

    sites: list[str] = field(default_factory=list)
    """Where each preempted segment ended; only when ``is_recording``."""

    reads_clock: bool = False
    asks_time: str = ""
    """Where the program itself did, not a library with a time-out."""

    has_run_ahead: bool = False
    """Virtual time has passed that nobody waited for."""

    slept_over: bool = False
    """Others could have run while a task slept, and did not get a turn."""

    has_processes: bool = False
    """The body has started a process."""

    has_wake_ups: bool = False
    """Somebody waited under control for a wake-up call; no operation tells who wrote it."""

    calls_system: bool = False
    """An operation was told that touches files, sockets, databases, or a library written in C."""

    untold: str = ""
    """What happened of which operations do not tell, and no place is known."""

    trouble: str | None = None
    """Why a search in which there was this run has not seen every order, whatever it tried, if so."""

    stragglers: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    """Of the tasks, by number."""

    task_count: int = 1
    broken: Exception | None = None
    """What went wrong in the engine or its scheduler: then the run says nothing of the program."""

    def who_runs(self) -> str:
        """Return who could still run when the run was cut, and where, in words."""
        return ", ".join(f"{task} at {place}" for task, place in self.running)

    @property
    def schedule(self) -> Schedule:
        return Schedule(tuple(self.segments), tuple(self.choices))

    @property
    def executed(self) -> Executed:
        return Executed(self.schedule, tuple(self.passed))
