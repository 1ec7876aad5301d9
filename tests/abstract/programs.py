"""The tiny programs whose outcomes are known completely, each a classic of two or three tasks.

``PROGRAMS`` holds them all. None has more than 12 operations, so enumeration takes milliseconds; none spins, so
``outcome_chances`` applies to all.
"""

from __future__ import annotations

from .machine import (
    Acquire,
    Condition,
    Event,
    EventSet,
    EventWait,
    If,
    Lock,
    Notify,
    NotifyAll,
    Operation,
    Program,
    Read,
    Release,
    Semaphore,
    Wait,
    While,
    Write,
    WriteSum,
)


def increment(variable: str) -> tuple[Operation, ...]:
    """``shared.variable += 1``: a read and a write that others can come between."""
    return Read(variable, "r"), WriteSum(variable, "r", 1)


def guarded(name: str, *operations: Operation) -> tuple[Operation, ...]:
    """``operations`` between taking and giving back the lock or semaphore ``name``."""
    return Acquire(name), *operations, Release(name)


LOST_UPDATE = Program(
    name="lost_update",
    variables={"n": 0},
    tasks=(increment("n"),) * 2,
)

LOST_UPDATE_OF_THREE = Program(
    name="lost_update_of_three",
    variables={"n": 0},
    tasks=(increment("n"),) * 3,
)

LOCKED_COUNTER = Program(
    name="locked_counter",
    variables={"n": 0},
    objects={"lock": Lock()},
    tasks=(guarded("lock", *increment("n")),) * 2,
)

# The acquire is the first visible operation of both tasks: an explorer that only reverses orders it can see
# after the first acquire never lets the second task win.
TWO_WRITERS_UNDER_ONE_LOCK = Program(
    name="two_writers_under_one_lock",
    variables={"x": 0},
    objects={"lock": Lock()},
    tasks=(guarded("lock", Write("x", 1)), guarded("lock", Write("x", 2))),
)

BLOCKED_BEHIND_THE_BLOCKED = Program(
    name="blocked_behind_the_blocked",
    variables={"x": 0, "y": 0},
    objects={"lock": Lock(), "other": Lock()},
    tasks=(
        (*guarded("other", Read("y", "r")), Write("x", 1)),
        guarded("lock", *guarded("other", Write("x", 3))),
        (*guarded("lock", Write("y", 2)), Read("x", "s")),
    ),
)
"""Task 2 may wait for task 1, which waits for task 0."""

OPPOSITE_LOCK_ORDER = Program(
    name="opposite_lock_order",
    variables={"x": 0},
    objects={"a": Lock(), "b": Lock()},
    tasks=(guarded("a", *guarded("b", Write("x", 1))), guarded("b", *guarded("a", Write("x", 2)))),
)

# ``sold`` starts at 5, so that a register of 0 says that its task was turned away.
CHECK_THEN_ACT = Program(
    name="check_then_act",
    variables={"free": 1, "sold": 5},
    tasks=((If("free", 1, (Write("free", 0), *increment("sold"))),),) * 2,
)

# Dekker's entry protocol. Under sequential consistency, which Python promises, not both tasks read 0.
STORE_BUFFERING = Program(
    name="store_buffering",
    variables={"x": 0, "y": 0},
    tasks=((Write("x", 1), Read("y", "r")), (Write("y", 1), Read("x", "r"))),
)

MESSAGE_PASSING = Program(
    name="message_passing",
    variables={"data": 0, "flag": 0},
    tasks=((Write("data", 42), Write("flag", 1)), (Read("flag", "ready"), Read("data", "r"))),
)

HAND_OFF = Program(
    name="hand_off",
    variables={"item": 0, "full": 0},
    objects={"lock": Lock(), "filled": Condition("lock")},
    tasks=(
        guarded("lock", While("full", 0, (Wait("filled"),)), Read("item", "r"), Write("full", 0)),
        guarded("lock", Write("item", 7), Write("full", 1), Notify("filled")),
    ),
)

# ``woken`` is 2 only if the third task takes the lock between the notification and the waiter's return.
BARGING = Program(
    name="barging",
    variables={"ready": 0},
    objects={"lock": Lock(), "changed": Condition("lock")},
    tasks=(
        guarded("lock", If("ready", 0, (Wait("changed"), Read("ready", "woken")))),
        guarded("lock", Write("ready", 1), NotifyAll("changed")),
        guarded("lock", Write("ready", 2)),
    ),
)

# The check is made without the lock: the notification can come before the wait, and nobody sends another.
LOST_WAKE_UP = Program(
    name="lost_wake_up",
    variables={"ready": 0},
    objects={"lock": Lock(), "changed": Condition("lock")},
    tasks=(
        (If("ready", 0, guarded("lock", Wait("changed"))),),
        (Write("ready", 1), *guarded("lock", Notify("changed"))),
    ),
)

# Two permits for three tasks: two may both find it unclaimed, never all three.
SEMAPHORE_OF_TWO = Program(
    name="semaphore_of_two",
    variables={"claimed": 0},
    objects={"permits": Semaphore(2)},
    tasks=(guarded("permits", Read("claimed", "r"), Write("claimed", 1)),) * 3,
)

EVENT = Program(
    name="event",
    variables={"data": 0},
    objects={"published": Event()},
    tasks=(
        (Write("data", 1), EventSet("published"), Write("data", 2)),
        (EventWait("published"), Read("data", "r")),
    ),
)

PROGRAMS = (
    LOST_UPDATE,
    LOST_UPDATE_OF_THREE,
    LOCKED_COUNTER,
    TWO_WRITERS_UNDER_ONE_LOCK,
    OPPOSITE_LOCK_ORDER,
    CHECK_THEN_ACT,
    STORE_BUFFERING,
    MESSAGE_PASSING,
    HAND_OFF,
    BARGING,
    LOST_WAKE_UP,
    SEMAPHORE_OF_TWO,
    EVENT,
)
