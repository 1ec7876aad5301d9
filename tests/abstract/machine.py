"""Run tiny concurrent programs in every possible way, to know what exploring real threads has to find.

A program is shared variables, synchronization objects and a few tasks; a task is a tuple of operations. Each operation
is one atomic step, and any task whose next operation can proceed may go next. The semantics are Python's: a released
lock belongs to whoever takes it next, so others barge in before a woken waiter; a condition wakes its longest waiter.

Promise: ``enumerate_outcomes`` is complete. It visits every reachable state, without reduction or bound.
Not here: time-outs, re-entrant locks, the wrong use of a lock (release by a stranger), fairness. A task that spins
forever contributes no outcome.

Independent on purpose: it shares no code and no algorithm with the plugin. Pure: no threads, no clock, no I/O.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cache
from typing import TypeAlias, TypeVar, assert_never

T = TypeVar("T")

Values: TypeAlias = tuple[tuple[str, int], ...]
"""An immutable, hashable mapping from names to values, sorted by name."""


# Synchronization objects, as declared by a program.


@dataclass(frozen=True, slots=True)
class Lock:
    """``threading.Lock()``."""


@dataclass(frozen=True, slots=True)
class Semaphore:
    """``threading.Semaphore(count)``."""

    count: int


@dataclass(frozen=True, slots=True)
class Condition:
    """``threading.Condition(lock)``."""

    lock: str
    """Name of the lock, declared by the same program."""


@dataclass(frozen=True, slots=True)
class Event:
    """``threading.Event()``."""


SynchronizationObject: TypeAlias = Lock | Semaphore | Condition | Event


# Operations, each one atomic step of a task.


@dataclass(frozen=True, slots=True)
class Read:
    """``register = shared.variable``."""

    variable: str
    register: str


@dataclass(frozen=True, slots=True)
class Write:
    """``shared.variable = value``."""

    variable: str
    value: int


@dataclass(frozen=True, slots=True)
class WriteSum:
    """``shared.variable = register + add``; registers are private, so only the write is visible."""

    variable: str
    register: str
    add: int


@dataclass(frozen=True, slots=True)
class Acquire:
    """Take the lock, or one permit of the semaphore, ``name``; possible while there is one."""

    name: str


@dataclass(frozen=True, slots=True)
class Release:
    """Give back the lock, or one permit of the semaphore, ``name``."""

    name: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Release the condition's lock and park, in one step; getting the lock back is a step of its own."""

    condition: str


@dataclass(frozen=True, slots=True)
class Reacquire:
    """Second step of a ``Wait``: possible once notified and the lock is free. Made by the machine, not by programs."""

    condition: str
    lock: str


@dataclass(frozen=True, slots=True)
class Notify:
    """Wake the longest-waiting task, if any."""

    condition: str


@dataclass(frozen=True, slots=True)
class NotifyAll:
    """Wake every waiting task."""

    condition: str


@dataclass(frozen=True, slots=True)
class EventSet:
    """Set the event, for good."""

    event: str


@dataclass(frozen=True, slots=True)
class EventWait:
    """Proceed once the event is set."""

    event: str


@dataclass(frozen=True, slots=True)
class If:
    """``if shared.variable == value: body``; the read and the decision are one step."""

    variable: str
    value: int
    body: tuple[Operation, ...]


@dataclass(frozen=True, slots=True)
class While:
    """``while shared.variable == value: body``; each read with its decision is one step."""

    variable: str
    value: int
    body: tuple[Operation, ...]


@dataclass(frozen=True, slots=True)
class Pause:
    """A step that does nothing: a scheduling point that real code has and the program has not."""


Operation: TypeAlias = (
    Read
    | Write
    | WriteSum
    | Acquire
    | Release
    | Wait
    | Reacquire
    | Notify
    | NotifyAll
    | EventSet
    | EventWait
    | If
    | While
    | Pause
)


@dataclass(frozen=True, slots=True)
class Program:
    """Tasks that start together, and what they share."""

    name: str
    """A Python identifier; variables, objects and registers are identifiers too."""

    variables: Mapping[str, int]
    """Shared variables with their initial values."""

    tasks: tuple[tuple[Operation, ...], ...]
    """At least one task; registers start at 0."""

    objects: Mapping[str, SynchronizationObject] = field(default_factory=dict)
    """Synchronization objects; their names differ from those of the variables."""


@dataclass(frozen=True, slots=True, order=True)
class Finished:
    """Every task came to its end."""

    variables: Values
    registers: tuple[Values, ...]
    """Registers of each task, in the order of the tasks."""


@dataclass(frozen=True, slots=True)
class Deadlock:
    """Somebody is not at his end and nobody can go on."""


Outcome: TypeAlias = Finished | Deadlock


@dataclass(frozen=True, slots=True)
class State:
    """A moment of an execution; equal states have equal futures."""

    variables: Values

    permits: Values
    """What can be taken: 1 for a free lock, the free permits of a semaphore, 1 for an event that is set."""

    waiting: tuple[tuple[str, int], ...]
    """(condition, task) for every task not yet notified, the longest-waiting first."""

    registers: tuple[Values, ...]

    rest: tuple[tuple[Operation, ...], ...]
    """What each task has still to do."""


def enumerate_outcomes(program: Program) -> frozenset[Outcome]:
    """Return every outcome that some interleaving of ``program`` has. Cost: one visit to each reachable state."""
    start = initial_state(program)
    seen, pending, outcomes = {start}, [start], set[Outcome]()
    while pending:
        state = pending.pop()
        following = successors(program, state)
        if not following:
            outcomes.add(outcome_of(state))
        pending += (fresh := set(following) - seen)
        seen |= fresh
    return frozenset(outcomes)


def outcome_chances(program: Program) -> dict[Outcome, Fraction]:
    """Return the chance of each outcome when every step goes to one of the enabled tasks, all equally likely.

    ``program`` must be unable to return to a state it has left, that is, it must not spin.
    """

    @cache
    def chances(state: State) -> dict[Outcome, Fraction]:
        following = successors(program, state)
        if not following:
            return {outcome_of(state): Fraction(1)}
        total: dict[Outcome, Fraction] = {}
        for successor in following:
            for outcome, chance in chances(successor).items():
                total[outcome] = total.get(outcome, Fraction(0)) + chance / len(following)
        return total

    return chances(initial_state(program))


def slowed(program: Program, pauses: int) -> Program:
    """Return ``program`` with ``pauses`` steps that do nothing before every operation. The outcomes stay the same."""

    def slow(operations: tuple[Operation, ...]) -> Iterator[Operation]:
        for operation in operations:
            yield from (Pause(),) * pauses
            match operation:
                case If() | While():
                    yield replace(operation, body=tuple(slow(operation.body)))
                case _:
                    yield operation

    return replace(program, tasks=tuple(tuple(slow(task)) for task in program.tasks))


def registers_of(operations: tuple[Operation, ...]) -> frozenset[str]:
    """Return the names of the registers that ``operations`` read into."""
    names = set[str]()
    for operation in operations:
        match operation:
            case Read(_, register):
                names.add(register)
            case If(_, _, body) | While(_, _, body):
                names |= registers_of(body)
    return frozenset(names)


def initial_state(program: Program) -> State:
    return State(
        variables=tuple(sorted(program.variables.items())),
        permits=tuple(sorted((name, _initial_permits(declared)) for name, declared in program.objects.items())),
        waiting=(),
        registers=tuple(tuple((name, 0) for name in sorted(registers_of(task))) for task in program.tasks),
        rest=program.tasks,
    )


def _initial_permits(declared: SynchronizationObject) -> int:
    match declared:
        case Lock():
            return 1
        case Semaphore(count):
            return count
        case Condition() | Event():  # nothing can be taken from a condition; an event is not set yet
            return 0
        case _:
            assert_never(declared)


def successors(program: Program, state: State) -> list[State]:
    """Return the states after one step of each enabled task, in the order of the tasks."""
    return [step(program, state, task) for task in range(len(program.tasks)) if is_enabled(state, task)]


def outcome_of(state: State) -> Outcome:
    """Return how an execution ended that ended in ``state``, where nobody is enabled."""
    return Deadlock() if any(state.rest) else Finished(state.variables, state.registers)


def is_enabled(state: State, task: int) -> bool:
    match state.rest[task]:
        case ():
            return False
        case (Acquire(name) | EventWait(name), *_):
            return _get(state.permits, name) > 0
        case (Reacquire(condition, lock), *_):
            return (condition, task) not in state.waiting and _get(state.permits, lock) > 0
        case _:
            return True


def step(program: Program, state: State, task: int) -> State:
    """Return the state after the next operation of ``task``, which must be enabled in ``state``."""
    operation, *rest = state.rest[task]
    after = _continue_with(state, task, *rest)
    match operation:
        case Read(variable, register):
            registers = _put(state.registers[task], register, _get(state.variables, variable))
            return replace(after, registers=_replace_at(state.registers, task, registers))
        case Write(variable, value):
            return replace(after, variables=_put(state.variables, variable, value))
        case WriteSum(variable, register, add):
            return replace(
                after, variables=_put(state.variables, variable, _get(state.registers[task], register) + add)
            )
        case Acquire(name) | Reacquire(_, name):
            return _add_permits(after, name, -1)
        case Release(name):
            return _add_permits(after, name, +1)
        case Wait(condition):
            lock = _lock_of(program, condition)
            parked = replace(after, waiting=(*state.waiting, (condition, task)))
            return _continue_with(_add_permits(parked, lock, +1), task, Reacquire(condition, lock), *rest)
        case Notify(condition):
            return _wake(after, [waiter for waiter in state.waiting if waiter[0] == condition][:1])
        case NotifyAll(condition):
            return _wake(after, [waiter for waiter in state.waiting if waiter[0] == condition])
        case EventSet(event):
            return replace(after, permits=_put(state.permits, event, 1))
        case If(variable, value, body):
            return _continue_with(after, task, *body, *rest) if _get(state.variables, variable) == value else after
        case While(variable, value, body):
            again = (*body, operation, *rest)
            return _continue_with(after, task, *again) if _get(state.variables, variable) == value else after
        case EventWait() | Pause():
            return after
        case _:
            assert_never(operation)


def _lock_of(program: Program, condition: str) -> str:
    declared = program.objects[condition]
    assert isinstance(declared, Condition), f"{program.name} waits for {condition}, which is {declared}"
    return declared.lock


def _wake(state: State, woken: list[tuple[str, int]]) -> State:
    return replace(state, waiting=tuple(waiter for waiter in state.waiting if waiter not in woken))


def _add_permits(state: State, name: str, change: int) -> State:
    return replace(state, permits=_put(state.permits, name, _get(state.permits, name) + change))


def _continue_with(state: State, task: int, *operations: Operation) -> State:
    return replace(state, rest=_replace_at(state.rest, task, operations))


def _replace_at(items: tuple[T, ...], index: int, item: T) -> tuple[T, ...]:
    return (*items[:index], item, *items[index + 1 :])


def _get(values: Values, name: str) -> int:
    return dict(values)[name]


def _put(values: Values, name: str, value: int) -> Values:
    return tuple(sorted({**dict(values), name: value}.items()))
