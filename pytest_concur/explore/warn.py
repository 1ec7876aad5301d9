"""Run a few schedules with witnesses: what they saw may go wrong, although nothing has.

Races and inversions show whatever the order was, so a few different schedules are enough: without preemption in both
directions, and some by chance.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from pytest_concur.engine.outside import Signs
from pytest_concur.explore.lock_order import Edge, Inversion, LockOrder
from pytest_concur.explore.races import Access, Race, RaceDetector, line_in
from pytest_concur.explore.trial import Laboratory
from pytest_concur.model.operation import Operation
from pytest_concur.model.schedule import Schedule
from pytest_concur.model.turn import Scheduler
from pytest_concur.model.verdict import Kind
from pytest_concur.model.witness import Stack, Witness
from pytest_concur.strategies.samplers import RandomStrategy
from pytest_concur.strategies.sequential import Sequential

BY_CHANCE = 4
"""Schedules beside the two without preemption."""

COST = 3
"""What another schedule may cost, in runs like the longest so far."""

MOST_STEPS = 100_000
"""Steps of all these schedules together; counted, not timed, so that the answer repeats."""

MANY_TASKS = 100
"""So many more tasks make a step cost one more: what each of them knows of all others is kept."""


@dataclass(frozen=True, slots=True)
class Suspicion:
    """What a witness has found."""

    kind: Kind
    summary: str
    lines: tuple[str, ...]
    """The rest of the explanation."""

    schedule: Schedule
    """Shows it when it is run again with a witness."""

    sites: Hashable
    excuse: str = ""
    """Why it may do no harm; empty if nothing speaks for that."""

    @property
    def key(self) -> Hashable:
        """Equal for the same in two runs."""
        return self.kind, self.sites


class Witnesses:
    """Both witnesses of one run."""

    def __init__(self, names_locks: bool) -> None:
        self.names_locks = names_locks
        self.races = RaceDetector()
        self.order = LockOrder()
        self._both = (self.races, self.order)

    def accessed(self, task: int, operation: Operation, stack: Stack) -> None:
        self.races.accessed(task, operation, stack)

    def acquired(self, task: int, lock: Hashable, name: str, stack: Stack, *, may_block: bool) -> None:
        for each in self._both:
            each.acquired(task, lock, name, stack, may_block=may_block)

    def released(self, task: int, lock: Hashable) -> None:
        for each in self._both:
            each.released(task, lock)

    def put(self, task: int, queue: Hashable) -> None:
        self.races.put(task, queue)

    def got(self, task: int, queue: Hashable) -> None:
        self.races.got(task, queue)

    def started(self, task: int, other: int) -> None:
        for each in self._both:
            each.started(task, other)

    def joined(self, task: int, other: int) -> None:
        for each in self._both:
            each.joined(task, other)


def suspicions(lab: Laboratory, seed: int, kinds: frozenset[Kind]) -> tuple[list[Suspicion], bool]:
    """Run the schedules and return what was seen of ``kinds``, each once.

    The second value says that data races were left out, since the system may put the tasks in an order that no witness
    sees: by file locks, sockets, processes, or where a task was outside control.
    """
    walks = RandomStrategy(seed)
    schedulers: list[Callable[[], Scheduler]] = [Sequential, partial(Sequential, lambda task: -task)]
    schedulers += [partial(walks.scheduler, index) for index in range(BY_CHANCE)]
    found: dict[Hashable, Suspicion] = {}
    is_ordered_outside = False
    steps, longest = 0, 0.0
    for make_scheduler in schedulers:
        if lab.settings.seconds_left() < COST * longest:
            break
        began = time.perf_counter()
        seen, passed, has_escaped = witness(lab, make_scheduler, names_locks=False)
        if has_escaped:  # what it was put in order by, nobody has seen
            is_ordered_outside = "data-race" in kinds and not found
            break
        for each in seen:
            if each.excuse and each.key in found and not found[each.key].excuse:
                found[each.key] = replace(found[each.key], excuse=each.excuse)  # which only a longer look shows
        if any(_is_new(each, kinds, found) for each in seen):
            signs = Signs(lab.patch.is_users)
            named, _, _ = witness(lab, make_scheduler, signs=signs)
            new = [each for each in (*seen, *named) if _is_new(each, kinds, found)]
            if signs.of_order and any(each.kind == "data-race" for each in new):
                is_ordered_outside = True
                kinds -= {"data-race"}
            found |= {each.key: each for each in new if each.kind in kinds}
        steps, longest = steps + passed, max(longest, time.perf_counter() - began)
        if steps > MOST_STEPS:
            break
    return [each for each in found.values() if each.kind in kinds], is_ordered_outside


def _is_new(suspicion: Suspicion, kinds: frozenset[Kind], found: Collection[Hashable]) -> bool:
    return suspicion.kind in kinds and suspicion.key not in found


def witness(
    lab: Laboratory,
    make_scheduler: Callable[[], Scheduler],
    *,
    names_locks: bool = True,
    signs: Signs | None = None,
) -> tuple[list[Suspicion], int, bool]:
    """Run one schedule; return what was seen, how many steps it cost, and whether a part of it was outside control."""
    made: list[Witnesses] = []

    def new() -> Witness:
        made.append(Witnesses(names_locks))
        return made[-1]

    trial = lab.run(make_scheduler, mode=lab.mode(flavour="operate"), make_witness=new, signs=signs)
    names, schedule = trial.record.names, trial.record.schedule
    seen = [_of_race(race, names, schedule) for race in made[-1].races.races]
    seen += [_of_inversion(inversion, names, schedule) for inversion in made[-1].order.inversions]
    cost = trial.record.steps * (1 + trial.record.task_count // MANY_TASKS)
    return seen, cost, bool(trial.record.uncontrolled)


def _of_race(race: Race, names: Sequence[str], schedule: Schedule) -> Suspicion:
    place = _place(race.later.operation)
    verbs = {_verb(race.earlier), _verb(race.later)}
    done = " and ".join(sorted(verbs)) if len(verbs) > 1 else f"{verbs.pop()} twice"
    where = " and ".join(sorted({f"{os.path.basename(file)}:{line}" for file, line in race.sites}))
    summary = f"data race: {place} is {done} by two tasks and nothing puts that in order ({where})"
    lines = [line for access in (race.earlier, race.later) for line in _access_lines(access, names)]
    return Suspicion("data-race", summary, tuple(lines), schedule, race.sites, race.excuse)


def _access_lines(access: Access, names: Sequence[str]) -> list[str]:
    holding = ", ".join(access.locks) or "no lock"
    head = f"{_name(names, access.task)} {_verb(access, active=True)} it, holding {holding}:"
    return [head, *(f"  {line}" for line in _stack_lines(access.stack))]


def _of_inversion(inversion: Inversion, names: Sequence[str], schedule: Schedule) -> Suspicion:
    parts = "; ".join(
        f"{_name(names, edge.task)} takes {_lock(edge.second_name, edge, 1)} while it holds "
        f"{_lock(edge.first_name, edge, 0)}"
        for edge in inversion.edges
    )
    lines: list[str] = []
    for edge in inversion.edges:
        lines.append(f"{_name(names, edge.task)} takes {edge.first_name}:")
        lines += [f"  {line}" for line in _stack_lines(edge.first_stack)]
        lines.append(f"and, while it holds that, {edge.second_name}:")
        lines += [f"  {line}" for line in _stack_lines(edge.second_stack)]
    summary = f"locks are taken in opposite orders, which can end in a deadlock: {parts}"
    return Suspicion("lock-order", summary, tuple(lines), schedule, inversion.sites)


def _lock(name: str, edge: Edge, which: int) -> str:
    file, line = edge.sites[which]
    return f"{name} ({os.path.basename(file)}:{line})"


def _name(names: Sequence[str], task: int) -> str:
    return names[task] if task < len(names) else f"task {task}"


def _verb(access: Access, *, active: bool = False) -> str:
    if access.operation.writes:
        return "writes" if active else "written"
    return "reads" if active else "read"


def _place(operation: Operation) -> str:
    family, part = operation.family, operation.part
    kind = family[0] if isinstance(family, tuple) and isinstance(family[0], type) else None
    match operation.kind:
        case "attribute":
            whose = kind.__qualname__ if kind else family[0] if isinstance(family, tuple) else ""
            return f"{whose}.{part}" if whose else str(part)
        case "item":
            return f"{kind.__qualname__ if kind else 'a container'}[{part!r}]"
        case "global":
            return str(operation.resource[-1]) if isinstance(operation.resource, tuple) else "a variable"
        case "cell":
            return str(part)
        case _:
            return f"a {kind.__qualname__ if kind else 'container'}"


def _stack_lines(stack: Stack) -> list[str]:
    return [
        f"{os.path.basename(code.co_filename)}:{line_in(stack, depth)} in {code.co_qualname}"
        for depth, (code, _) in enumerate(stack)
    ]
