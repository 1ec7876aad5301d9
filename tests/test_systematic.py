"""Systematic search sees exactly what brute force sees on an abstract machine, and knows when it has seen all.

The programs are the classics of ``abstract.programs``, and random ones of two or three tasks with locks, a condition, a
semaphore and shared variables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from abstract.explore import explore
from abstract.machine import (
    Condition,
    Deadlock,
    Finished,
    If,
    Lock,
    Notify,
    NotifyAll,
    Operation,
    Program,
    Read,
    Semaphore,
    Wait,
    While,
    Write,
    enumerate_outcomes,
)
from abstract.programs import BLOCKED_BEHIND_THE_BLOCKED, PROGRAMS, TWO_WRITERS_UNDER_ONE_LOCK, guarded, increment
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from shares import shared_out

MOST_SCHEDULES = 20_000
BATCH = 10
"""Random programs that one pytest process explores."""

EXECUTIONS = {"lost_update": 4, "opposite_lock_order": 3}
"""Executions of a published implementation of source-DPOR until nothing is left, where such a figure is known.

Source: measured on an abstract machine where every access and lock operation is one step.
"""


def explore_all(programs: Sequence[Program], strategy: str) -> list[tuple[Mapping[str, Any], frozenset[Finished]]]:
    return explore([(program, MOST_SCHEDULES) for program in programs], strategy, seed=1)


def assert_sees_all(program: Program, test: Mapping[str, Any], seen: frozenset[Finished]) -> None:
    """A deadlock ends the search; else it ends when nothing is left, and has seen every outcome and no other."""
    expected = enumerate_outcomes(program)
    kinds = [finding["kind"] for finding in test["findings"]]
    if Deadlock() in expected:
        assert kinds == ["deadlock"], (program, test)
        assert seen <= expected, (program, test)
    else:
        assert kinds == [], (program, test)
        assert test["explored"]["complete"], (program, test)
        assert seen == expected, (program, test)


@shared_out
@pytest.mark.parametrize(
    "strategy", ["dpor", *(pytest.param(name, marks=pytest.mark.exhaustive) for name in ("bounded", "auto"))]
)
def test_classics_are_seen_completely(strategy: str, part: Callable[[Sequence[Program]], list[Program]]) -> None:
    """Every classic is explored to its end, and shows what brute force shows."""
    small = [program for program in part(PROGRAMS) if strategy != "bounded" or len(program.tasks) == 2]
    for program, (test, seen) in zip(small, explore_all(small, strategy), strict=True):
        assert_sees_all(program, test, seen)


def test_few_schedules_are_enough() -> None:
    """DPOR needs at most twice the schedules of a published implementation."""
    known = [program for program in PROGRAMS if program.name in EXECUTIONS]
    for program, (test, _) in zip(known, explore_all(known, "dpor"), strict=True):
        assert test["explored"]["schedules"] <= 2 * EXECUTIONS[program.name], (program.name, test)


def test_the_first_visible_step_may_be_an_acquire() -> None:
    """Two writers under one lock end in both orders, although both begin by taking the lock."""
    [(test, seen)] = explore_all([TWO_WRITERS_UNDER_ONE_LOCK], "dpor")

    assert {dict(outcome.variables)["x"] for outcome in seen} == {1, 2}
    assert test["explored"]["schedules"] == 2


def test_the_last_of_a_chain_of_waiting_tasks_may_come_first() -> None:
    """Who waits for a task that waits itself is tried before that one, although nothing of the rest is new."""
    [(test, seen)] = explore_all([BLOCKED_BEHIND_THE_BLOCKED], "dpor")

    assert_sees_all(BLOCKED_BEHIND_THE_BLOCKED, test, seen)
    assert len(seen) == 12


# --- random programs -------------------------------------------------------------------------------------------------

_VARIABLES = ("x", "y")
_variables = st.sampled_from(_VARIABLES)
_accesses: st.SearchStrategy[tuple[Operation, ...]] = st.one_of(
    st.builds(lambda variable, register: (Read(variable, register),), _variables, st.sampled_from(["r", "s"])),
    st.builds(lambda variable, value: (Write(variable, value),), _variables, st.integers(1, 3)),
    _variables.map(increment),
    st.builds(lambda variable, value: (If(variable, 0, (Write(variable, value),)),), _variables, st.integers(1, 3)),
)
_some_accesses = st.lists(_accesses, min_size=1, max_size=2).map(lambda parts: sum(parts, ()))
_signals: st.SearchStrategy[tuple[Operation, ...]] = st.one_of(
    st.builds(lambda variable, value: (Write(variable, value), Notify("changed")), _variables, st.integers(1, 3)),
    st.builds(lambda variable, value: (Write(variable, value), NotifyAll("changed")), _variables, st.integers(1, 3)),
    _variables.map(lambda variable: (While(variable, 0, (Wait("changed"),)),)),
    _variables.map(lambda variable: (If(variable, 0, (Wait("changed"),)),)),
)
_steps: st.SearchStrategy[tuple[Operation, ...]] = st.one_of(
    _accesses,
    _some_accesses.map(lambda body: guarded("lock", *body)),
    _some_accesses.map(lambda body: guarded("other", *body)),
    _some_accesses.map(lambda body: guarded("permits", *body)),
    _some_accesses.map(lambda body: guarded("lock", *guarded("other", *body))),
    _some_accesses.map(lambda body: guarded("other", *guarded("lock", *body))),
    _signals.map(lambda body: guarded("lock", *body)),
)


def _tasks(many: int, longest: int) -> st.SearchStrategy[tuple[tuple[Operation, ...], ...]]:
    task = st.lists(_steps, min_size=1, max_size=longest).map(lambda parts: sum(parts, ()))
    return st.lists(task, min_size=many, max_size=many).map(tuple)


programs = st.builds(
    lambda tasks, permits: Program(
        "random",
        dict.fromkeys(_VARIABLES, 0),
        tasks,
        {"lock": Lock(), "other": Lock(), "changed": Condition("lock"), "permits": Semaphore(permits)},
    ),
    st.one_of(_tasks(2, 3), _tasks(3, 2)),
    st.integers(1, 2),
)


def check_random_programs(drawn: list[Program]) -> None:
    named = [replace(program, name=f"random_{number}") for number, program in enumerate(drawn)]
    for program, (test, seen) in zip(named, explore_all(named, "dpor"), strict=True):
        assert_sees_all(program, test, seen)


batches = given(st.lists(programs, min_size=BATCH, max_size=BATCH))
unhurried = settings(
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],  # to shrink a batch takes long and says little: the failure names the program
    suppress_health_check=list(HealthCheck),
)


@settings(unhurried, max_examples=2)
@batches
def test_random_programs_are_seen_completely(drawn: list[Program]) -> None:
    """DPOR shows of random programs what brute force shows."""
    check_random_programs(drawn)


@pytest.mark.exhaustive
@settings(unhurried, max_examples=500 // BATCH)
@batches
def test_500_random_programs_are_seen_completely(drawn: list[Program]) -> None:
    """The same for 500 of them."""
    check_random_programs(drawn)
