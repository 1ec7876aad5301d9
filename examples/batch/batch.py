"""Batches of items, processed one by one or by threads: the same work, two designs.

Each pair of functions returns the same list, so that ``concur.compare`` can set one against the other.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

# ---- what is done with an item ----


def double(value: int) -> int:
    return value * 2


def double_asleep(value: int) -> int:
    """Wait for somebody else for 100 µs, as a call over a network would."""
    time.sleep(100e-6)
    return value * 2


def double_busy(value: int) -> int:
    """Compute for about 100 µs."""
    total = 0
    for number in range(1_600):
        total += number & 1
    return value * 2 + total - 800


def blur(image: Sequence[Sequence[int]]) -> list[list[int]]:
    """Average each pixel with its neighbours: pure Python, no call that would let another thread run beside it."""
    height, width = len(image), len(image[0])
    return [
        [
            sum(image[y + dy][x + dx] for dy in (-1, 0, 1) for dx in (-1, 0, 1)) // 9
            if 0 < y < height - 1 and 0 < x < width - 1
            else image[y][x]
            for x in range(width)
        ]
        for y in range(height)
    ]


# ---- designs ----


def in_a_loop(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    return [work(item) for item in items]


def thread_for_each(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """One thread an item, results stored under a mutex."""
    results: list[R | None] = [None] * len(items)
    mutex = threading.Lock()

    def process(index: int, item: T) -> None:
        result = work(item)
        with mutex:
            results[index] = result

    threads = [threading.Thread(target=process, args=each) for each in enumerate(items)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results  # type: ignore[return-value]  # every thread has put its own in


def thread_for_each_limited(work: Callable[[T], R], items: Sequence[T], limit: int = 100) -> list[R]:
    """One thread an item, started when a semaphore lets it: at most ``limit`` at a time."""
    results: list[R | None] = [None] * len(items)
    permits = threading.Semaphore(limit)

    def process(index: int, item: T) -> None:
        try:
            results[index] = work(item)
        finally:
            permits.release()

    threads = []
    for each in enumerate(items):
        permits.acquire()
        threads.append(threading.Thread(target=process, args=each))
        threads[-1].start()
    for thread in threads:
        thread.join()
    return results  # type: ignore[return-value]  # every thread has put its own in


def pool_of_threads(work: Callable[[T], R], items: Sequence[T], workers: int = 4) -> list[R]:
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(work, items))


def pool_of_processes(pool: ProcessPoolExecutor, work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """With a pool that stands ready: starting processes takes longer than most batches."""
    return list(pool.map(work, items))


# ---- a counter, a shared dictionary, steps that depend on each other ----


def count_in_place(times: int) -> int:
    counter = 0
    for _ in range(times):
        counter += 1
    return counter


def count_in_threads(times: int) -> int:
    """``counter += 1`` in a thread of its own, each time."""
    counter = 0

    def increment() -> None:
        nonlocal counter
        counter += 1

    for _ in range(times):
        thread = threading.Thread(target=increment)
        thread.start()
        thread.join()
    return counter


def write_then_read(times: int) -> int:
    data: dict[int, int] = {}
    for number in range(times):
        data[number & 15] = number
        data.get(number & 15)
    return len(data)


def write_and_read_under_a_lock(times: int) -> int:
    """One thread writes, one reads, both under a lock."""
    data: dict[int, int] = {}
    mutex = threading.Lock()

    def write() -> None:
        for number in range(times):
            with mutex:
                data[number & 15] = number

    def read() -> None:
        for number in range(times):
            with mutex:
                data.get(number & 15)

    threads = [threading.Thread(target=each) for each in (write, read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(data)


STEPS = ("fetch", "parse", "store")


def steps_in_order() -> list[str]:
    return [step for step in STEPS]  # noqa: C416 - each step would do something here


def steps_at_once() -> list[str]:
    """Each step needs the one before it; each has a thread of its own, and nobody waits."""
    log: list[str] = []
    threads = [threading.Thread(target=log.append, args=(step,)) for step in STEPS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return log


def steps_as_a_pipeline() -> list[str]:
    """Each step in a thread of its own, each waits for the one before it."""
    log: list[str] = []
    turns = [threading.Event() for _ in (*STEPS, "end")]
    turns[0].set()

    def run(number: int, step: str) -> None:
        turns[number].wait()
        log.append(step)
        turns[number + 1].set()

    threads = [threading.Thread(target=run, args=each) for each in enumerate(STEPS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return log
