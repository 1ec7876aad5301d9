"""Small concurrent programs for measuring how many schedules a second a tool explores.

Plain Python: a program knows no tool and imports nothing but the standard library. It makes a fresh state, names the
functions that run concurrently on it, and says whether the state they leave behind is right.

A rate is only comparable between tools that keep going, and not every tool goes on after a failure. Hence:

- ``lost_update`` is racy by nature; its check accepts every outcome, so no schedule of it fails.
- ``lock_order`` is the classic deadlock with the cause taken out: both tasks take the two locks in the same order.
- ``deadlock`` is the same with the cause left in, and the one program that fails. It is ``is_search``: a tool is called
  anew until its first failing schedule, again and again, and its rate is schedules ÷ time spent in those searches.

Locks are made in ``setup`` and looked up on ``threading`` at that moment: the peers only see locks made this way.
"""

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

State = TypeVar("State")


@dataclass(frozen=True)
class Program(Generic[State]):
    """One program: what is shared, who works on it, and what must hold afterwards."""

    setup: Callable[[], State]
    """Makes a fresh state for each schedule."""

    threads: tuple[Callable[[State], None], ...]
    """Run concurrently, each in a thread of its own, on the same state."""

    check: Callable[[State], bool]
    """Whether the state is right after all threads have ended."""

    is_search: bool = False
    """The program can fail, so what is measured is a series of searches, each up to its first failing schedule."""


class Counter:
    """A number and the lock that should guard it."""

    def __init__(self) -> None:
        self.value = 0
        self.lock = threading.Lock()


def increment(counter: Counter) -> None:
    counter.value += 1


def increment_twice_locked(counter: Counter) -> None:
    with counter.lock:
        counter.value += 1
    with counter.lock:
        counter.value += 1


def work_locally_then_increment(counter: Counter) -> None:
    """Run 200 statements on local variables, which no other thread can see, then touch the counter once."""
    total, low, high = 1, 0, 1
    for step in range(50):
        total = (total * 31 + step) % 1009
        low = low + high
        high = low ^ total
        low = (low + step) & 0xFFFF
    with counter.lock:
        counter.value += 1


class Accounts:
    """Two balances with a lock each; money moves, their sum does not change."""

    def __init__(self) -> None:
        self.left, self.right = 100, 100
        self.left_lock, self.right_lock = threading.Lock(), threading.Lock()


def move_right(accounts: Accounts) -> None:
    with accounts.left_lock, accounts.right_lock:
        accounts.left -= 30
        accounts.right += 30


def move_left_same_order(accounts: Accounts) -> None:
    with accounts.left_lock, accounts.right_lock:
        accounts.right -= 50
        accounts.left += 50


def move_left_opposite_order(accounts: Accounts) -> None:
    with accounts.right_lock, accounts.left_lock:
        accounts.right -= 50
        accounts.left += 50


def sum_is_kept(accounts: Accounts) -> bool:
    return accounts.left + accounts.right == 200


ITEMS = [1, 2, 3]


class BoundedBuffer:
    """Room for one item; who finds no room or no item waits on the condition."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.items: list[int] = []
        self.taken: list[int] = []

    def put(self, item: int) -> None:
        with self.changed:
            while self.items:
                self.changed.wait()
            self.items.append(item)
            self.changed.notify()

    def take(self) -> int:
        with self.changed:
            while not self.items:
                self.changed.wait()
            item = self.items.pop()
            self.changed.notify()
            return item


def fill_buffer(buffer: BoundedBuffer) -> None:
    for item in ITEMS:
        buffer.put(item)


def drain_buffer(buffer: BoundedBuffer) -> None:
    for _ in ITEMS:
        buffer.taken.append(buffer.take())


class HandOff:
    """A queue with room for one item, and what came out of it."""

    def __init__(self) -> None:
        self.queue: queue.Queue[int] = queue.Queue(maxsize=1)
        self.taken: list[int] = []


def send(hand_off: HandOff) -> None:
    for item in ITEMS:
        hand_off.queue.put(item)


def receive(hand_off: HandOff) -> None:
    for _ in ITEMS:
        hand_off.taken.append(hand_off.queue.get())


PROGRAMS: dict[str, Program[Any]] = {  # Any: programs differ in their states, and the tools only hand them through
    "lost_update": Program(Counter, (increment, increment), lambda counter: True),
    "locked_counter": Program(Counter, (increment_twice_locked,) * 3, lambda counter: counter.value == 6),
    "lock_order": Program(Accounts, (move_right, move_left_same_order), sum_is_kept),
    "deadlock": Program(Accounts, (move_right, move_left_opposite_order), sum_is_kept, is_search=True),
    "bounded_buffer": Program(BoundedBuffer, (fill_buffer, drain_buffer), lambda buffer: buffer.taken == ITEMS),
    "queue_hand_off": Program(HandOff, (send, receive), lambda hand_off: hand_off.taken == ITEMS),
    "local_work": Program(Counter, (work_locally_then_increment,) * 2, lambda counter: counter.value == 2),
}
