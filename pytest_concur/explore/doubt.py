"""Failures that may say no more than that nobody waited.

Virtual time runs ahead of real time, and a loop that waits is given up after so many steps. To a process, another
machine or a thread outside control that leaves no time at all; and a library that is not instrumented asks the real
clock. Where the test asks it, computing seems to take no time. Who waits in a library or in the system, with a time-out
in real time, keeps the tasks that it waits for from running. So what fails after time had run ahead, or was asked for,
after nobody had used a processor for a moment, or where tasks wait for ever, is in doubt.

It is run again, looking on. If it has nothing to do with the outside, it counts. Else it is run in step with real time:
if it fails again, and time has not run ahead even so, it counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pytest_concur.engine import signals
from pytest_concur.engine.outside import Signs
from pytest_concur.explore.failure import Failure
from pytest_concur.explore.trial import Laboratory, Trial
from pytest_concur.model.waiting import has_cycle

STOOD_S = 0.01
"""Real time in which nothing happens here that is worth a look."""

COST = 10
"""What a doubt costs at most, in runs; looking on makes a run several times as long."""

Again = Callable[..., tuple[Failure | None, Trial]]
"""Runs the same schedule again; takes what :meth:`Laboratory.run` takes. Returns what failed, and the run."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a doubt."""

    counts: bool
    why_not: tuple[str, str] = ("", "")
    """What was outside control, and where."""

    is_hopeless: bool = False
    """No run can tell: it would take too long."""

    trial: Trial | None = None
    """The run in step with real time, if it ended in another way."""


def ask(lab: Laboratory, failure: Failure, trial: Trial, again: Again) -> Answer:
    """Say whether a failure counts; if it does not, all further runs keep step with real time."""
    if not _is_in_doubt(failure, trial) or (lab.in_step_s and not _may_be_too_early(trial)):
        return Answer(True)
    runs = lab.runs
    try:
        return _look_into(lab, failure, trial, again)
    finally:
        lab.runs = runs  # whether a task has stood still may depend on the machine: these are not counted


def _is_in_doubt(failure: Failure, trial: Trial) -> bool:
    is_timeout = isinstance(failure.error, TimeoutError)
    record = trial.record
    return record.has_run_ahead or trial.stood_s > STOOD_S or is_timeout or _is_endless(trial) or bool(record.asks_time)


def _is_endless(trial: Trial) -> bool:
    record = trial.record
    if record.ending == "livelock":
        return True
    may_be_woken = record.ending in ("deadlock", "leak") and not has_cycle(record.waiting)
    return may_be_woken and signals.are_handled()


def _may_be_too_early(trial: Trial) -> bool:
    """Whether a run in step with real time was given up before everybody had had time."""
    record = trial.record
    is_final = record.ending == "deadlock" and has_cycle(record.waiting)
    return record.ending == "livelock" or (record.has_run_ahead and not is_final)


def _look_into(lab: Laboratory, failure: Failure, trial: Trial, again: Again) -> Answer:
    patience_s = lab.settings.patience_s
    if lab.settings.seconds_left() < COST * trial.seconds + patience_s:
        what = f"whether it is more than a wait for the outside ({failure.summary}), before the test's time-out,"
        return Answer(False, (what, "the end of a run"), is_hopeless=True)
    signs = Signs(lab.patch.is_users)
    again(signs=signs)
    if lab.settings.foreign_threads(()):
        signs.kinds.add("others")
    if not signs.kinds and not trial.record.asks_time:
        return Answer(True)
    if not lab.in_step_s:
        found, in_step = again(in_step_s=patience_s)
        if found is None or found.signature != failure.signature:
            lab.in_step_s = patience_s
            return Answer(False, _told(signs, in_step), trial=in_step)
        trial = in_step
    if signs.of_real_time and _may_be_too_early(trial):
        lab.in_step_s = patience_s
        return Answer(False, _told(signs, trial), is_hopeless=True)
    return Answer(True)


def _told(signs: Signs, trial: Trial) -> tuple[str, str]:
    noted = [(what, where) for what, where in trial.record.uncontrolled if what.startswith("what ")]
    noted += [*trial.record.uncontrolled, ("what the test waits for, in real time,", "an unknown place")]
    what, where = noted[0]
    if not signs.kinds:
        return "the time that passes while the test computes", trial.record.asks_time or where
    if readers := sorted(signs.clock_readers):
        what = f"the clock that {' and '.join(readers)} asked (without scope={readers} it is the real one)"
    return what, where
