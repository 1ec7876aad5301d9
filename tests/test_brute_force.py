"""Exploring real threads finds exactly the outcomes that brute force finds on an abstract machine.

First the machine is held against outcomes listed by hand, and the translation of its programs against the machine, on
threads that run freely. Then the plugin explores each translated program: a set too small means that interleavings are
out of its reach, a set too large that it has executed something that Python's rules do not allow.
"""

from __future__ import annotations

import dis
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from abstract.explore import explore
from abstract.machine import (
    Condition,
    Deadlock,
    Event,
    EventWait,
    Finished,
    If,
    Lock,
    Notify,
    NotifyAll,
    Operation,
    Program,
    Read,
    SynchronizationObject,
    Values,
    Wait,
    While,
    Write,
    WriteSum,
    enumerate_outcomes,
    outcome_chances,
    slowed,
)
from abstract.programs import (
    BARGING,
    CHECK_THEN_ACT,
    EVENT,
    HAND_OFF,
    LOCKED_COUNTER,
    LOST_UPDATE,
    LOST_UPDATE_OF_THREE,
    LOST_WAKE_UP,
    MESSAGE_PASSING,
    OPPOSITE_LOCK_ORDER,
    PROGRAMS,
    SEMAPHORE_OF_TWO,
    STORE_BUFFERING,
    TWO_WRITERS_UNDER_ONE_LOCK,
    guarded,
)
from abstract.translate import as_functions
from shares import shared_out

SCHEDULES = {program.name: 2_000 for program in PROGRAMS} | {LOST_UPDATE_OF_THREE.name: 4_000}
"""Enough not to miss an outcome; ``test_missing_an_outcome_is_out_of_the_question`` computes it."""

EXHAUSTIVE_SCHEDULES = 20_000

SEED = 7

HANG_S = 30.0
"""Longest wait for threads that have microseconds of work."""

each_program = pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)

# What an outcome looks like when only the registers matter, or only the variables.
Shown = tuple[int, ...] | str


def registers(program: Program) -> set[Shown]:
    """Outcomes as the registers of all tasks, one after the other."""
    return {_show(outcome, lambda finished: sum(finished.registers, ())) for outcome in enumerate_outcomes(program)}


def variables(program: Program) -> set[Shown]:
    """Outcomes as the final variables."""
    return {_show(outcome, lambda finished: finished.variables) for outcome in enumerate_outcomes(program)}


def _show(outcome: Finished | Deadlock, part: Callable[[Finished], Values]) -> Shown:
    return "deadlock" if isinstance(outcome, Deadlock) else tuple(value for _, value in part(outcome))


def test_lost_update() -> None:
    """Two unlocked increments end at 2 if one comes after the other, else at 1, and then both have read 0."""
    assert enumerate_outcomes(LOST_UPDATE) == {
        Finished((("n", 1),), ((("r", 0),), (("r", 0),))),
        Finished((("n", 2),), ((("r", 0),), (("r", 1),))),
        Finished((("n", 2),), ((("r", 1),), (("r", 0),))),
    }


def test_lost_update_of_three() -> None:
    """Three increments lose none, one or two; who read what follows from the orders of three reads and writes."""
    assert variables(LOST_UPDATE_OF_THREE) == {(1,), (2,), (3,)}
    assert registers(LOST_UPDATE_OF_THREE) == {
        *[(0, 0, 0)],
        *[(0, 0, 1), (0, 1, 0), (1, 0, 0)],
        *[(0, 1, 1), (1, 0, 1), (1, 1, 0)],
        *[(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)],
    }


def test_locked_counter() -> None:
    """Under a lock no increment is lost, whoever comes first."""
    assert variables(LOCKED_COUNTER) == {(2,)}
    assert registers(LOCKED_COUNTER) == {(0, 1), (1, 0)}


def test_two_writers_under_one_lock() -> None:
    """Either task may be the last to have the lock."""
    assert variables(TWO_WRITERS_UNDER_ONE_LOCK) == {(1,), (2,)}


def test_opposite_lock_order() -> None:
    """Locks taken in opposite orders: either task is last, or both wait for each other."""
    assert variables(OPPOSITE_LOCK_ORDER) == {(1,), (2,), "deadlock"}


def test_check_then_act() -> None:
    """One task is turned away (0), or both act: one after the other, or with a lost update on top."""
    assert registers(CHECK_THEN_ACT) == {(5, 0), (0, 5), (5, 6), (6, 5), (5, 5)}


def test_store_buffering() -> None:
    """At least one task sees what the other has written."""
    assert registers(STORE_BUFFERING) == {(0, 1), (1, 0), (1, 1)}


def test_message_passing() -> None:
    """Whoever sees the flag sees the data."""
    reads = [dict(outcome.registers[1]) for outcome in finished(MESSAGE_PASSING)]
    assert {(read["ready"], read["r"]) for read in reads} == {(0, 0), (0, 42), (1, 42)}


def test_hand_off() -> None:
    """The consumer gets the item, whether it has to wait for it or not."""
    assert registers(HAND_OFF) == {(7,)}


def test_barging() -> None:
    """The waiter did not wait (0), or found what woke it (1), or what was written before it got the lock back (2)."""
    ends = {(dict(outcome.variables)["ready"], dict(outcome.registers[0])["woken"]) for outcome in finished(BARGING)}
    assert ends == {(1, 0), (2, 0), (1, 1), (2, 1), (2, 2)}
    assert Deadlock() not in enumerate_outcomes(BARGING)


def test_lost_wake_up() -> None:
    """A notification between an unlocked check and the wait is lost."""
    assert variables(LOST_WAKE_UP) == {(1,), "deadlock"}


def test_semaphore_of_two() -> None:
    """One or two tasks find it unclaimed: two permits let two in, and never three."""
    assert registers(SEMAPHORE_OF_TWO) == {(0, 1, 1), (1, 0, 1), (1, 1, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)}


def test_event() -> None:
    """Nobody passes an event that is not set yet."""
    assert registers(EVENT) == {(1,), (2,)}


def finished(program: Program) -> set[Finished]:
    return {outcome for outcome in enumerate_outcomes(program) if isinstance(outcome, Finished)}


LOCK_AND_CONDITION: dict[str, SynchronizationObject] = {"lock": Lock(), "changed": Condition("lock")}


def two_waiters(notification: Operation) -> Program:
    """Two tasks wait until ``go`` is set; a third sets it and sends one ``notification``."""
    waiter = guarded("lock", While("go", 0, (Wait("changed"),)))
    starter = guarded("lock", Write("go", 1), notification)
    return Program("two_waiters", {"go": 0}, (waiter, waiter, starter), LOCK_AND_CONDITION)


def test_notify_wakes_one() -> None:
    """One notification for two waiters leaves one behind, unless it came late enough to wait for nothing."""
    assert variables(two_waiters(Notify("changed"))) == {(1,), "deadlock"}


def test_notify_all_wakes_all() -> None:
    """After ``notify_all`` nobody is left behind."""
    assert variables(two_waiters(NotifyAll("changed"))) == {(1,)}


def test_notify_wakes_the_longest_waiter() -> None:
    """The first task parks first and hands the notification on; were the second woken, the first would sleep on.

    The only other end is a deadlock: the notifier, or the second task, came too early.
    """
    first = (Write("parked", 1), Wait("changed"), Write("last", 1), Notify("changed"))
    second = If("parked", 1, (Write("parked", 2), Wait("changed"), Write("last", 2)))
    notifier = If("parked", 2, (Notify("changed"),))
    tasks = guarded("lock", *first), guarded("lock", second), guarded("lock", notifier)
    program = Program("longest_waiter", {"parked": 0, "last": 0}, tasks, LOCK_AND_CONDITION)

    assert variables(program) == {(2, 2), "deadlock"}


def test_while_checks_again() -> None:
    """A waiter that was woken without reason goes back to wait."""
    tasks = guarded("lock", While("go", 0, (Wait("changed"),))), guarded("lock", Notify("changed"))

    assert enumerate_outcomes(Program("no_reason", {"go": 0}, tasks, LOCK_AND_CONDITION)) == {Deadlock()}


def test_event_that_nobody_sets() -> None:
    """A program in which nobody can take a first step is a deadlock."""
    assert enumerate_outcomes(Program("unset", {}, ((EventWait("e"),),), {"e": Event()})) == {Deadlock()}


@each_program
def test_pauses_change_no_outcome(program: Program) -> None:
    """Steps that do nothing do not matter, and the chances of all outcomes, reached by another way, add up to 1."""
    chances = outcome_chances(slowed(program, pauses=2))

    assert frozenset(chances) == enumerate_outcomes(program)
    assert sum(chances.values()) == 1


@each_program
def test_missing_an_outcome_is_out_of_the_question(program: Program) -> None:
    """``SCHEDULES`` random walks miss some outcome with a chance below 1e-6.

    An outcome of chance p is missed n times in a row with (1 - p)**n, and the chance to miss any is at most the sum of
    these. Real code has more scheduling points than the program (loading ``shared.lock``, the inside of a condition,
    the start of a thread), so every operation gets one step more that does nothing. Half of the schedules of the
    strategy "random" are no uniform walks: n is half of ``SCHEDULES``.
    """
    walks = SCHEDULES[program.name] // 2
    chances = outcome_chances(slowed(program, pauses=1)).values()

    assert sum((1 - float(chance)) ** walks for chance in chances) < 1e-6


@each_program
def test_accesses_are_single_instructions(program: Program, tmp_path: Path) -> None:
    """A task accesses shared variables as often as its program says, each by one instruction in the task's own code."""
    _, tasks = as_functions(program, tmp_path)

    for task, operations in zip(tasks, program.tasks, strict=True):
        assert attribute_instructions(task, program) == list(accesses(operations))


def attribute_instructions(task: Callable[..., Any], program: Program) -> list[tuple[str, str]]:
    """Loads and stores of shared variables in source order; a loop's test, which is compiled twice, counts once."""
    found = {
        (instruction.positions.lineno or 0, instruction.opname, instruction.argval)
        for instruction in dis.get_instructions(task)
        if instruction.positions is not None and instruction.argval in program.variables
    }
    return [(opname, variable) for _, opname, variable in sorted(found)]


def accesses(operations: tuple[Operation, ...]) -> Iterator[tuple[str, str]]:
    for operation in operations:
        match operation:
            case Read(variable, _):
                yield "LOAD_ATTR", variable
            case Write(variable, _) | WriteSum(variable, _, _):
                yield "STORE_ATTR", variable
            case If(variable, _, body) | While(variable, _, body):
                yield "LOAD_ATTR", variable
                yield from accesses(body)


NEVER_DEADLOCKING = [program for program in PROGRAMS if Deadlock() not in enumerate_outcomes(program)]


@pytest.mark.parametrize("backwards", [False, True], ids=["in order", "backwards"])
@pytest.mark.parametrize("program", NEVER_DEADLOCKING, ids=lambda program: program.name)
def test_free_threads_end_as_foretold(program: Program, backwards: bool, tmp_path: Path) -> None:
    """A translated program, run on threads that nobody controls, ends in one of the enumerated outcomes."""
    make_shared, tasks = as_functions(program, tmp_path)
    shared = make_shared()
    results: dict[int, Values] = {}
    threads = [
        threading.Thread(target=lambda number=number, task=task: results.update({number: task(shared)}), daemon=True)
        for number, task in enumerate(tasks)
    ]
    for thread in reversed(threads) if backwards else threads:
        thread.start()
    for thread in threads:
        thread.join(HANG_S)

    final = tuple((name, getattr(shared, name)) for name in sorted(program.variables))
    assert Finished(final, tuple(results[number] for number in range(len(tasks)))) in enumerate_outcomes(program)


@shared_out
def test_exploring_finds_every_outcome(part: Callable[[Sequence[Program]], list[Program]]) -> None:
    """Exploring a program finds all that it can do and nothing else; a deadlock ends the search, and is found too.

    The chance to miss an outcome is below 1e-6: ``test_missing_an_outcome_is_out_of_the_question``.
    """
    assert misjudged([(program, SCHEDULES[program.name]) for program in part(PROGRAMS)]) == {}


@pytest.mark.exhaustive
@each_program
def test_exploring_long_finds_nothing_else(program: Program) -> None:
    """With many more schedules the outcomes are still those of the machine."""
    assert misjudged([(program, EXHAUSTIVE_SCHEDULES)]) == {}


def misjudged(schedules: Sequence[tuple[Program, int]]) -> dict[str, tuple[object, object]]:
    """Explore each program with so many schedules; return report and outcomes of those that are not right."""
    return {
        program.name: (report, seen)
        for (program, most), (report, seen) in zip(schedules, explore(schedules, "random", SEED), strict=True)
        if not is_right(program, most, report, seen)
    }


def is_right(program: Program, schedules: int, report: Mapping[str, Any], seen: frozenset[Finished]) -> bool:
    expected = enumerate_outcomes(program)
    kinds, verdict = [finding["kind"] for finding in report["findings"]], report["verdict"]
    if Deadlock() in expected:
        return (verdict, kinds) == ("failed", ["deadlock"]) and seen <= expected
    is_through = report["explored"]["complete"] or report["explored"]["schedules"] >= schedules
    return (verdict, kinds) == ("passed", []) and is_through and seen == expected
