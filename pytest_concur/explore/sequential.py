"""The sequential reference: the body without preemption, in the given order, the reversed one and, for few tasks, all.

What is seen here is what a user would call right: outcomes under other schedules are compared with these, and a failure
here is no concurrency bug.

Who sleeps lets time pass and goes on: a switch in between would be one that splits what a task does. But some sleep to
let others go on. If a run fails where others were slept over, all is run again with them going on while the body
sleeps, and, if that fails too, while anybody does.
"""

from __future__ import annotations

import math
import time
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import permutations
from typing import Any

from pytest_concur.engine.execution import SleepsThrough
from pytest_concur.engine.outside import Signs
from pytest_concur.explore import doubt
from pytest_concur.explore.failure import Failure
from pytest_concur.explore.trial import Laboratory, Trial
from pytest_concur.instrument.rewrite import Caller, caller_at
from pytest_concur.instrument.scope import LIBRARY
from pytest_concur.model.outcome import matches, without
from pytest_concur.strategies.sequential import ReplayDecisions, Sequential

_LIBRARY_UNDER_CONTROL = {name.partition(".")[0] for name in LIBRARY} - {"functools", "random", "http", "uuid"}
"""Of what it keeps, all that tasks can meet in is under control."""

EVERY_ORDER_UP_TO = 3
"""Tasks beside the body's for which every order is run."""

_WHO_SLEEPS_THROUGH: tuple[SleepsThrough, ...] = ("all", "tasks", "nobody")

AGAIN = "the given order, a second time"

MOST_ORDERS = 400
"""Runs spent to find a sequential order that gives an outcome in question."""

MOST_STEPS = 400_000
"""Steps spent on the same; counted, not timed, so that the answer repeats."""


@dataclass(slots=True)
class Reference:
    """What the sequential runs gave."""

    outcomes: list[Any] = field(default_factory=list)
    """Different outcomes, with values left out that differed between two runs of the same order."""

    failure: Failure | None = None
    failing: Trial | None = None
    order: str = ""
    """The order that failed, in words."""

    passing: BaseException | None = None
    task_count: int = 1
    contested: int = 0
    """Contested points of the first run."""

    is_step_limited: bool = False
    running: str = ""
    """Who ran then, and where."""

    uncontrolled: list[tuple[str, str]] = field(default_factory=list)
    result: Any = None
    calls_system: bool = False
    """Tasks use files, sockets or databases, or libraries written in C; nobody sees what is in them."""

    is_exhausted: bool = False
    """There is no use in running the body again."""

    slept_over: bool = False
    """A run failed, or was skipped, in which others could have run while somebody slept; it was not looked into."""

    held_up: Failure | None = None
    """How it failed."""

    def knows(self, outcome: Any) -> bool:
        return any(matches(outcome, each) for each in self.outcomes)


def establish(lab: Laboratory, seconds: float = math.inf) -> Reference:
    """Run the body sequentially and return what was seen; stops at the first failure.

    Where runs take real time, no further order is begun after so many seconds: what it would have given is asked for
    when an outcome is in question.
    """
    deadline = time.monotonic() + seconds
    held_up: Failure | None = None
    for who in _WHO_SLEEPS_THROUGH:
        reference = _in_all_orders(lab, who, deadline)
        if not reference.slept_over:
            break
        held_up = reference.held_up or held_up
    reference.held_up = held_up
    _excuse_for_want_of_threads(lab, reference)
    return reference


def _in_all_orders(lab: Laboratory, sleeps_through: SleepsThrough, deadline: float) -> Reference:
    reference = Reference()
    lab.sleeps_through = sleeps_through
    first = _run(lab, reference, None, "the given order")
    if first is None:
        if reference.failing is not None and reference.failing.has_passed_before:
            reference.order = AGAIN
            _excuse(reference, lab)
        return reference
    reference.task_count, reference.result = first.record.task_count, first.result
    reference.contested = first.record.contested
    callers: set[Caller] = set()
    unseen: set[str] = set()
    signs = Signs(lab.patch.is_users, partial(_note_caller, lab, callers), partial(_note_unseen, lab, unseen))
    again = _run(lab, reference, None, AGAIN, signs=signs)
    if again is None:
        _excuse(reference, lab)
        return reference
    if callers:
        lab.patch.mark_callers(frozenset(callers))
        reference.calls_system = True
    lab.unseen |= unseen
    reference.outcomes = [without(first.outcome, again.outcome)]
    for order in _other_orders(first.record.task_count - 1):
        if (reference.uncontrolled or lab.in_step_s) and time.monotonic() > deadline:
            break
        words = "the order " + ", ".join(map(str, order))
        trial = _run(lab, reference, _in_order(order), words)
        if trial is None:
            return reference
        if trial.outcome is not None and not reference.knows(trial.outcome):
            reference.outcomes.append(trial.outcome)
    return reference


def _excuse(reference: Reference, lab: Laboratory) -> None:
    """A run that gets stuck where the same run before did not: the world was not fresh, so nothing is claimed.

    A worker thread that the body starts once and keeps in a global, say, was ended with the run before. Then this one
    starts fewer; it may as well wait until a time-out.
    """
    failure, failing = reference.failure, reference.failing
    if failure is None or failing is None:
        return
    is_stuck = failure.kind in ("deadlock", "livelock", "thread-leak")
    if is_stuck or failing.record.task_count < lab.most_tasks_ended:
        reference.uncontrolled.append(("the body cannot be repeated: state outlives a run", failure.summary))
        reference.failure = reference.failing = None
        reference.is_exhausted = True


def _excuse_for_want_of_threads(lab: Laboratory, reference: Reference) -> None:
    """The run that fails starts fewer threads than one whose threads were ended for want of a turn.

    If somebody has kept those, it may be them that it waits for: the world was not fresh, so nothing is claimed.
    """
    failure, failing = reference.failure, reference.failing
    tasks, ended = lab.cut_short
    kept = [thread.name for each in ended if (thread := each()) is not None]
    if kept and failure is not None and failing is not None and failing.record.task_count < tasks:
        what = f"the body cannot be repeated: {', '.join(kept)} of an earlier run has ended with it"
        reference.uncontrolled.append((what, failure.summary))
        reference.failure = reference.failing = None
        reference.is_exhausted = True


def is_sequential_outcome(lab: Laboratory, reference: Reference, outcome: Any) -> bool | None:
    """Whether some run without preemption gives ``outcome``; ``None`` if there are too many to try.

    All answers to the questions "who runs next, now that this task has blocked or ended?" are enumerated; the body's
    sleep is such a question, too.
    """
    sleeps_through: SleepsThrough = "tasks" if lab.sleeps_through == "all" else lab.sleeps_through
    answers: list[int] = []
    steps = 0
    for _ in range(MOST_ORDERS):
        schedulers: list[ReplayDecisions] = []

        def decide(answers: list[int] = answers, made: list[ReplayDecisions] = schedulers) -> ReplayDecisions:
            made.append(ReplayDecisions(answers))
            return made[-1]

        trial = lab.run(decide, sleeps_through=sleeps_through, discovers=False)
        if trial.outcome is not None and not reference.knows(trial.outcome):
            reference.outcomes.append(trial.outcome)
        if reference.knows(outcome):
            return True
        following = _next_answers(answers, schedulers[-1].widths)
        if following is None:
            return False
        answers = following
        steps += trial.record.steps
        if steps > MOST_STEPS:
            return None
    return None


def fails_sequentially(lab: Laboratory, choices: tuple[int, ...]) -> bool:
    """Whether the body fails without preemption too, given the same answers to ``concur.choose``."""
    orders: list[Callable[[int], int] | None] = [None, lambda task: -task]
    for who in _WHO_SLEEPS_THROUGH[_WHO_SLEEPS_THROUGH.index(lab.sleeps_through) :]:
        trials = [lab.run(lambda rank=rank: Sequential(rank, choices), sleeps_through=who) for rank in orders]  # type: ignore[misc]
        failing = [trial for trial in trials if trial.failure is not None]
        if not all(trial.record.slept_over for trial in failing):
            return True
        if not failing:
            break
    return False


def _note_caller(lab: Laboratory, callers: set[Caller], frame: types.FrameType, lets_gil_go: bool) -> None:
    """The system is called: by a task while others live, perhaps."""
    if lab.running_task() is not None:
        callers.add(caller_at(frame, lets_gil_go=lets_gil_go))


def _note_unseen(lab: Laboratory, unseen: set[str], package: str) -> None:
    """Code without points is called: by a task while others live, perhaps."""
    if package not in _LIBRARY_UNDER_CONTROL and lab.running_task() is not None:
        unseen.add(package)


def _run(
    lab: Laboratory, reference: Reference, rank: Callable[[int], int] | None, words: str, *, signs: Signs | None = None
) -> Trial | None:
    """Run one order; ``None`` if the reference ends with it."""
    run = partial(lab.run, lambda: Sequential(rank), sleeps_through=lab.sleeps_through, freeze_names=False)
    trial = run(signs=signs)
    if trial.failure is not None and signs is not None and _is_due_to_looking_on(trial.failure, run, signs):
        trial = run()
    if (trial.failure is not None or trial.passing is not None) and trial.record.slept_over:
        reference.slept_over, reference.held_up = True, trial.failure
        return None
    if trial.failure is not None:

        def again(**how: Any) -> tuple[Failure | None, Trial]:
            seen = run(**how)
            return seen.failure, seen

        answer = doubt.ask(lab, trial.failure, trial, again)
        if not answer.counts:
            reference.uncontrolled.append(answer.why_not)
            reference.is_exhausted = answer.is_hopeless
            if answer.trial is None:
                return None
            if trial.record.ending == "leak" and answer.trial.record.ending in ("deadlock", "leak", "gave-up"):
                # whoever the run before left behind was ended with it, and may be what this one waited for
                reference.is_exhausted = True
                return None
            trial = answer.trial
    reference.uncontrolled += trial.record.uncontrolled
    if trial.record.ending in ("step-limit", "gave-up"):
        reference.is_step_limited, reference.running = True, trial.record.who_runs()
    if trial.passing is not None:
        reference.passing = trial.passing
    elif trial.failure is not None:
        reference.failure, reference.failing, reference.order = trial.failure, trial, words
    elif trial.record.ending != "gave-up":
        return trial
    return None


def _is_due_to_looking_on(failure: Failure, run: Callable[..., Trial], signs: Signs) -> bool:
    """Whether a run fails because it is looked on at, which ``sys.getprofile`` tells.

    Else it is the body's own: it may fail the second time, or every other time.
    """
    for _ in range(2):
        if run().failure is not None:
            return False
    again = run(signs=signs).failure
    return again is not None and again.signature == failure.signature


def _in_order(order: tuple[int, ...]) -> Callable[[int], int]:
    """The body first, then the tasks listed, then those of unknown number in order of creation."""
    ranks = {task: place for place, task in enumerate(order, 1)}
    return lambda task: ranks.get(task, task + len(order)) if task else 0


def _other_orders(tasks: int) -> Iterator[tuple[int, ...]]:
    given = tuple(range(1, tasks + 1))
    if tasks > EVERY_ORDER_UP_TO:
        yield given[::-1]
    elif tasks > 1:
        yield from (order for order in permutations(given) if order != given)


def _next_answers(answers: list[int], widths: list[int]) -> list[int] | None:
    """Return the next list of answers in depth-first order, or ``None`` if all were given."""
    full = (answers + [0] * len(widths))[: len(widths)]
    for place in range(len(full) - 1, -1, -1):
        if full[place] + 1 < widths[place]:
            return [*full[:place], full[place] + 1]
    return None
