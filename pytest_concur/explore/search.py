"""Find a failing schedule within a budget, make it simple, and make sure that it replays."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pytest_concur.engine.execution import SleepsThrough
from pytest_concur.engine.outside import Signs
from pytest_concur.errors import NondeterminismFound
from pytest_concur.explore import doubt, sequential
from pytest_concur.explore.failure import Failure
from pytest_concur.explore.focus import FOCUS_FROM, focus, is_worth_focusing
from pytest_concur.explore.minimize import MOST_RUNS, minimize
from pytest_concur.explore.sequential import Reference
from pytest_concur.explore.trial import Laboratory, Trial
from pytest_concur.instrument.interpreter import HAS_MONITORING
from pytest_concur.instrument.patch import Mode
from pytest_concur.instrument.rewrite import Flavour
from pytest_concur.model.outcome import shown, without
from pytest_concur.model.schedule import Executed, Schedule, Token
from pytest_concur.model.turn import Scheduler
from pytest_concur.model.verdict import Explored, Gil
from pytest_concur.strategies import Strategies, blind
from pytest_concur.strategies.replay import Replay
from pytest_concur.strategies.strategy import Strategy

GIL_SCHEDULES = 300
GIL_STEPS = 200_000
"""Budget for the question whether a GIL build can do it too; counted, not timed, so that the answer repeats."""

REAL_S = 10.0
"""Seconds, where runs take real time, after which that question is given up, and a single replay is enough."""

STEPS_OF_A_RUN, STEPS_OF_A_TASK = 440, 20
"""What starting them costs, in steps."""

LONG_RUN = 200
"""Contested points beyond which a run counts as long."""

REPLAYS = 3
MOST_REPLAYS = 10
"""Replays tried before a failure that does not happen again is given up."""

_REMEDY = "strategy='auto' and 'random' can do without"

Progress = Callable[[int, float], None]


@dataclass(frozen=True, slots=True)
class Budget:
    """How much to explore."""

    schedules: int
    seconds: float
    """Of exploring; rewriting code that shows up late is not counted."""

    wall_seconds: float = float("inf")
    """Of anything."""

    def is_spent(self, seconds: float, rewriting: float) -> bool:
        return seconds - rewriting > self.seconds or seconds > self.wall_seconds


@dataclass(slots=True)
class Found:
    """A failing schedule and what is known about it."""

    failure: Failure
    schedule: Schedule
    index: int
    """1-based number of the schedule that failed first; 0 for a sequential run."""

    gil: Gil | None = None
    is_stable: bool = True
    """It failed alike each time it was replayed."""

    is_sequential: bool = False
    is_focused: bool = False
    """It ran with points left out that touch only what one task uses."""

    leaves_threads: bool = False
    """Tasks would not end when the run was over: each further run would leave more threads behind."""

    takes_time: bool = False
    """Its runs keep step with real time."""

    sites: tuple[str, ...] = ()
    executed: Executed = field(default_factory=lambda: Executed(Schedule(()), ()))


@dataclass(slots=True)
class Searched:
    """What a search gave."""

    explored: Explored
    found: Found | None = None
    uncontrolled: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    passing: BaseException | None = None
    is_step_limited: bool = False
    running: str = ""
    """Who ran then, and where."""

    is_unrepeatable: bool = False
    """Two runs of one schedule differed."""

    reads_clock: bool = False
    calls_system: bool = False
    untold: str = ""
    has_wake_ups: bool = False
    has_processes: bool = False


def explore(
    lab: Laboratory,
    reference: Reference,
    strategies: Strategies,
    budget: Budget,
    *,
    explored: Explored,
    remembered: Sequence[Token] = (),
    progress: Progress = lambda schedules, seconds: None,
) -> Searched:
    """Run schedules until one fails or the budget ends; ``remembered`` ones come first.

    The first schedule is run twice: if the runs differ, something other than the schedule decides. Rewriting code
    is not exploring, and does not count against the budget.
    """
    searched = Searched(explored)
    start, rewriting, runs = time.perf_counter(), lab.patch.seconds, lab.runs
    has_focus = is_muted = False
    longest = reference.contested
    handed_out: Counter[int] = Counter()
    for index in range(budget.schedules):
        if index and budget.is_spent(time.perf_counter() - start, lab.patch.seconds - rewriting):
            break
        if index < len(remembered):
            is_focused, strategy = remembered[index].is_focused, strategies.usual
            if is_focused and not is_muted:
                focus(lab)
                is_muted = True
            mode = lab.mode(is_focused=is_focused)
            trial = lab.run(partial(Replay, remembered[index].schedule), mode=mode)
        else:
            number = index - len(remembered)
            if number == FOCUS_FROM and strategies.focused is not None and is_worth_focusing(lab, longest):
                if not is_muted:
                    focus(lab)
                has_focus = is_muted = True
            is_focused = has_focus and number % 2 == 1
            is_long = longest > LONG_RUN
            strategy = strategies.long if is_long else strategies.usual
            if is_focused and strategies.focused is not None:
                strategy = strategies.focused
            place = handed_out[id(strategy)]
            handed_out[id(strategy)] += 1
            mode = lab.mode(is_focused=is_focused, flavour=_flavour(strategy, place))
            trial = lab.run(partial(strategy.scheduler, place), mode=mode, discovers=_discovers(index))
        explored.schedules += 1
        explored.switches += trial.record.switches
        ends = _take_note(searched, trial)
        if ends and trial.failure is None:
            break
        if index == len(remembered) and trial.failure is None:
            _run_twice(lab, reference, partial(strategy.scheduler, 0), mode, trial, searched)
        longest = max(longest, trial.record.contested)
        if index >= len(remembered):
            trial.record.trouble = _incompleteness(lab, reference, searched)
            strategy.learn(trial.record)
        failure = trial.failure or _compare(lab, reference, trial, searched)
        if failure is not None and not trial.record.stragglers:
            again = partial(replay, lab, reference, trial.record.schedule, is_focused=is_focused)
            answer = doubt.ask(lab, failure, trial, again)
            if not answer.counts:
                searched.uncontrolled.append(answer.why_not)
                if answer.is_hopeless or ends:
                    break
                failure = None
        if failure is not None and mode.flavour == "operate" and not trial.record.stragglers:
            found, _ = again()
            if found is None or found.signature != failure.signature:
                # containers that operations touched are kept alive for a run: the program noticed
                searched.is_unrepeatable = True
                if strategies.long is strategies.usual:
                    what = f"a failure that only watching brings about, as objects live longer then: {failure.summary}"
                    searched.uncontrolled.append((what, f"schedule {explored.schedules} ({_REMEDY})"))
                    break
                searched.notes.append(
                    f"schedule {explored.schedules} failed ({failure.summary}) while each operation was watched, "
                    "and not when replayed without; it does not count"
                )
                strategies, strategy = strategies.without_operations(), strategies.long
                failure = None
        if failure is not None:
            searched.found = Found(
                failure,
                trial.record.schedule,
                explored.schedules,
                is_focused=is_focused,
                executed=trial.record.executed,
                leaves_threads=bool(trial.record.stragglers),
                takes_time=bool(lab.in_step_s) or trial.record.has_processes or trial.record.ending == "gave-up",
            )
            break
        is_only_one = trial.record.contested == 0 and not trial.record.choices and trial.record.task_count == 1
        if is_only_one or strategy.is_exhausted:
            trouble = _incompleteness(lab, reference, searched) or (None if is_only_one else strategy.trouble)
            if trouble is None:
                explored.complete_over = _extent(lab, longest)
            elif not is_only_one:
                searched.notes.append(f"no schedule is left to try, but the search is not complete: {trouble}")
            break
        progress(explored.schedules, time.perf_counter() - start)
    explored.seconds = max(time.perf_counter() - start - (lab.patch.seconds - rewriting), 0.0)
    explored.runs = lab.runs - runs
    return searched


def settle(lab: Laboratory, reference: Reference, found: Found) -> bool:
    """Minimize what was found and see that it replays, in place; return whether it ever failed alike again.

    A failing run may leave state behind, in a class or a module. So each run here follows a sequential one, as it will
    in the session that replays the token.
    """
    budget = 0 if found.leaves_threads or found.takes_time else MOST_RUNS
    attempt = partial(_fails_alike, lab, reference, found)
    found.schedule = minimize(found.executed, attempt, budget=budget)
    if found.schedule != found.executed.schedule:
        again = partial(replay, lab, reference, found.schedule, is_focused=found.is_focused)
        failure, trial = again()
        if failure is not None and not doubt.ask(lab, failure, trial, again).counts:
            found.schedule = found.executed.schedule
    replays = []
    began = time.perf_counter()
    for number in range(1, MOST_REPLAYS + 1):
        failure, trial = replay(lab, reference, found.schedule, is_focused=found.is_focused)
        is_alike = failure is not None and failure.signature == found.failure.signature
        replays.append(is_alike)
        if is_alike and failure is not None:
            found.failure = failure
            found.schedule = trial.record.schedule  # as it is run without watching: where tasks block, each has a turn
            found.sites = tuple(trial.record.sites)
        is_late = found.takes_time and time.perf_counter() - began > REAL_S
        is_enough = number >= REPLAYS or found.leaves_threads
        if any(replays) + is_enough + is_late >= 2:
            break
    found.is_stable = all(replays)
    return any(replays)


def ask_gil(lab: Laboratory, reference: Reference, found: Found, seed: int) -> Gil:
    """Search for the same failure with switches only where a GIL build can make them."""
    if found.leaves_threads:
        return "not-reached"
    if lab.settings.granularity == "gil" or found.is_sequential or found.schedule.preemptions == 0:
        return "reachable"
    strategy = blind(seed)
    steps, began = 0, time.perf_counter()
    for index in range(GIL_SCHEDULES):
        trial = lab.run(partial(strategy.scheduler, index), mode=Mode(granularity="gil"), discovers=False)
        strategy.learn(trial.record)
        failure = trial.failure or _strange(lab, reference, trial)
        if failure is not None and failure.kind == found.failure.kind:
            return "reachable"
        steps += trial.record.steps + STEPS_OF_A_RUN + STEPS_OF_A_TASK * trial.record.task_count
        if steps > GIL_STEPS or (found.takes_time and time.perf_counter() - began > REAL_S):
            break
    return "not-reached"


def replay(
    lab: Laboratory,
    reference: Reference,
    schedule: Schedule,
    *,
    sleeps_through: SleepsThrough = "nobody",
    is_focused: bool = False,
    in_step_s: float | None = None,
    signs: Signs | None = None,
) -> tuple[Failure | None, Trial]:
    """Run a schedule once, after a sequential run, with places of switches recorded."""
    lab.cleanse()
    trial = lab.run(
        lambda: Replay(schedule),
        mode=lab.mode(is_focused=is_focused),
        is_recording=True,
        sleeps_through=sleeps_through,
        in_step_s=in_step_s,
        signs=signs,
    )
    return trial.failure or _strange(lab, reference, trial), trial


def _fails_alike(lab: Laboratory, reference: Reference, found: Found, schedule: Schedule) -> Executed | None:
    if not lab.cleanse():
        return None  # the world is not as it was: what fails now says nothing
    trial = lab.run(lambda: Replay(schedule), mode=lab.mode(is_focused=found.is_focused))
    failure = trial.failure or _strange(lab, reference, trial)
    alike = failure is not None and failure.signature == found.failure.signature
    return trial.record.executed if alike else None


def _strange(lab: Laboratory, reference: Reference, trial: Trial) -> Failure | None:
    """A failure if the outcome is none of those known to be sequential."""
    if trial.outcome is None or not reference.outcomes or reference.is_step_limited or reference.knows(trial.outcome):
        return None  # a sequential run that was cut short leaves open what it would have given
    text = _shown(trial.outcome)
    known = " or ".join(sorted({_shown(each) for each in reference.outcomes})[:4])
    summary = f"outcome {text} comes from no sequential order of the tasks; those give {known}"
    return Failure("nondeterminism", summary, ("nondeterminism",), NondeterminismFound(summary))


def _compare(lab: Laboratory, reference: Reference, trial: Trial, searched: Searched) -> Failure | None:
    """Judge an outcome; before it is called strange, every sequential order is tried."""
    failure = _strange(lab, reference, trial)
    if failure is None:
        return None
    known = sequential.is_sequential_outcome(lab, reference, trial.outcome)
    if known is None:
        note = "an outcome was not judged: there are too many sequential orders to try them all"
        if note not in searched.notes:
            searched.notes.append(note)
        reference.outcomes.append(trial.outcome)
        return None
    return None if known else _strange(lab, reference, trial)


def _incompleteness(lab: Laboratory, reference: Reference, searched: Searched) -> str | None:
    """Say why not every behaviour was seen although no schedule is left, if so."""
    if searched.uncontrolled:
        return "part of the test is outside control"
    if searched.has_processes:
        return "it starts processes, which are outside control"
    if reference.calls_system or searched.calls_system:
        return "tasks use files, sockets, databases or libraries written in C, and nobody sees what is in them"
    if lab.unseen:
        return f"tasks call {', '.join(sorted(lab.unseen))}, and nobody sees what that reads and writes"
    if searched.untold:
        return searched.untold
    if searched.is_step_limited:
        return "a run reached max_steps"
    if searched.is_unrepeatable:
        return "something else than the schedule decides"
    if lab.patch.has_late_names:
        return "code of another module was met on the way; what it writes is not known everywhere"
    if reference.held_up is not None:
        return "it sleeps to let others go on, and they may not have gone on by then"
    if lab.settings.explores_timeouts:
        return "not all early time-outs were tried"
    if searched.has_wake_ups:
        return "event loops or pools were woken, and no operation tells by whom"
    return "the test reads the clock, and time may pass anywhere" if searched.reads_clock else None


def _extent(lab: Laboratory, points: int) -> str:
    """Say what a complete search is complete over."""
    granularity = lab.settings.granularity
    over = {"access": "shared accesses and synchronization", "sync": "synchronization", "gil": "switches of the GIL"}
    return f"all orders of up to {points} steps: {over[granularity]} (granularity={granularity!r})"


def _flavour(strategy: Strategy, index: int) -> Flavour:
    return "operate" if strategy.sees_operations(index) else "countdown"


def _run_twice(
    lab: Laboratory,
    reference: Reference,
    make_scheduler: Callable[[], Scheduler],
    mode: Mode,
    first: Trial,
    searched: Searched,
) -> None:
    second = lab.run(make_scheduler, mode=mode)
    searched.explored.switches += second.record.switches
    if first.record.segments != second.record.segments or first.record.choices != second.record.choices:
        pairs = zip(first.record.segments, second.record.segments, strict=False)
        step = next((i for i, (a, b) in enumerate(pairs, 1) if a != b), len(second.record.segments))
        searched.is_unrepeatable = True
        searched.notes.append(
            f"nondeterminism outside scheduling: two runs of one schedule differ from their step {step} on "
            "(chance that is not seeded, or the order of a set of objects?); replays may not be exact"
        )
    elif first.outcome != second.outcome and first.outcome is not None and second.outcome is not None:
        masked = without(first.outcome, second.outcome)
        reference.outcomes = [without(each, masked) if each == first.outcome else each for each in reference.outcomes]
        reference.outcomes.append(masked)
        searched.is_unrepeatable = True
        searched.notes.append("values that differ between two runs of one schedule are left out of the outcome")


def _take_note(searched: Searched, trial: Trial) -> bool:
    """Keep what a run says beside its failure; return whether it ends the search."""
    for each in trial.record.uncontrolled:
        if each not in searched.uncontrolled:
            searched.uncontrolled.append(each)
    record = trial.record
    if record.ending == "step-limit":
        searched.is_step_limited, searched.running = True, record.who_runs()
    searched.reads_clock |= record.reads_clock
    searched.calls_system |= record.calls_system
    searched.untold = record.untold or searched.untold
    searched.has_wake_ups |= record.has_wake_ups
    searched.has_processes |= record.has_processes
    searched.passing = trial.passing
    return trial.passing is not None or record.ending == "gave-up" or bool(record.stragglers)


def _discovers(index: int) -> bool:
    """On 3.11 looking for new code costs a call for every call: do so now and then."""
    return HAS_MONITORING or index < 2 or (index >= 16 and index & (index - 1) == 0)


def _shown(outcome: Any) -> str:
    results, observed = outcome[1:] if isinstance(outcome, tuple) and len(outcome) == 3 else (outcome, ())
    parts = []
    if isinstance(results, tuple) and len(results) > 1:
        parts += [", ".join(map(shown, run[1:])) if isinstance(run, tuple) else shown(run) for run in results[1:]]
    if isinstance(observed, tuple) and len(observed) > 1:
        parts += [f"{name}={shown(value)}" for name, value in observed[1]]
    return "(" + "; ".join(parts) + ")"
