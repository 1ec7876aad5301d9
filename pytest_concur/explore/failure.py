"""What went wrong in a run, as the run shows by itself: the kind, a sentence, and what tells it from other failures."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_concur.engine.frames import one_line
from pytest_concur.engine.record import Record
from pytest_concur.errors import DeadlockFound, LivelockFound, ThreadLeakFound
from pytest_concur.model.verdict import Kind
from pytest_concur.model.waiting import Place, describe_stuck


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong in a run."""

    kind: Kind
    summary: str
    signature: tuple[Any, ...]
    """Equal for two runs that show the same bug."""

    error: BaseException
    """What the test raises for it."""


def judge(record: Record, error: BaseException | None, is_assertion: Callable[[BaseException], bool]) -> Failure | None:
    """Say what a run shows by itself; comparing its outcome with others comes later."""
    match record.ending:
        case "deadlock":
            summary, signature = describe_stuck(record.waiting)
            return Failure("deadlock", summary, signature, DeadlockFound(summary))
        case "livelock":
            places = ", ".join(f"{task} at {place}" for task, place in record.running)
            summary = f"livelock: tasks keep running and come back to the same states: {places}"
            return Failure("livelock", summary, ("livelock", _places(record.running)), LivelockFound(summary))
        case "leak":
            summary = _describe_leak(record)
            return Failure("thread-leak", summary, ("thread-leak", tuple(record.leaked)), ThreadLeakFound(summary))
        case "step-limit" | "gave-up":
            return _unhandled(record)  # somebody may wait for the thread that is gone; the body was told to unwind
    if error is not None:
        kind: Kind = "assertion" if is_assertion(error) else "exception"
        return Failure(kind, one_line(error), signature_of(error), error)
    if record.unhandled:
        return _unhandled(record)
    if record.held_locks:
        summary = f"still held when the test had returned: {', '.join(record.held_locks)}"
        return Failure("thread-leak", summary, ("held", len(record.held_locks)), ThreadLeakFound(summary))
    return None


def raise_all(errors: Sequence[BaseException]) -> None:
    """Raise what tasks have raised: one exception as it is, several as a group, nothing if there is none."""
    __tracebackhide__ = True
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise BaseExceptionGroup(f"{len(errors)} tasks failed", errors)


def _unhandled(record: Record) -> Failure | None:
    if not record.unhandled:
        return None
    name, error = record.unhandled[0]
    who = name if name.startswith("thread") else f"thread {name}"
    return Failure("exception", f"{who} ended with {one_line(error)}", signature_of(error), error)


def signature_of(error: BaseException) -> tuple[Any, ...]:
    """Type of an exception and the innermost line of the traceback: equal for the same bug."""
    if isinstance(error, BaseExceptionGroup):
        return ("group", *sorted({signature_of(each) for each in error.exceptions}, key=repr))
    frames = traceback.extract_tb(error.__traceback__)
    innermost = (frames[-1].filename, frames[-1].lineno) if frames else ("?", 0)
    return (type(error).__qualname__, *innermost)


def let_go(error: BaseException) -> None:
    """Free what the frames of a finished run hold."""
    for each in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
        let_go(each)
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error.__traceback__ = None
        error = error.__context__  # type: ignore[assignment]


def _places(running: list[tuple[str, Place]]) -> tuple[str, ...]:
    return tuple(sorted(place.function for _, place in running))


def _describe_leak(record: Record) -> str:
    names = ", ".join(record.leaked)
    stands = "; ".join(f"{w.task} waits for {w.what} at {w.place}" for w in record.waiting if w.task in record.leaked)
    many = "threads were" if len(record.leaked) > 1 else "thread was"
    advice = "join or stop it before the test returns, or make it a daemon"
    return f"{len(record.leaked)} {many} left behind when the test returned: {names} ({stands or 'running'}); {advice}"
