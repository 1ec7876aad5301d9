"""Ten workloads that exist sequentially and concurrently: processor, input and output, locks, queues, pools, mixed."""

from __future__ import annotations

import hashlib
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

WORKERS = 4
PIECES = 8


class Workload(NamedTuple):
    """Two functions that give the same."""

    sequential: Callable[[], Any]
    concurrent: Callable[[], Any]


def _pool(work: Callable[[int], Any]) -> Workload:
    """Do the pieces one after the other, or by a pool that is made and shut down."""

    def concurrent() -> list[Any]:
        with ThreadPoolExecutor(WORKERS) as pool:
            return list(pool.map(work, range(PIECES)))

    return Workload(lambda: [work(piece) for piece in range(PIECES)], concurrent)


def _threads(work: Callable[[int], Any]) -> Workload:
    """Do the pieces one after the other, or one in each thread."""

    def concurrent() -> int:
        threads = [threading.Thread(target=work, args=(piece,)) for piece in range(PIECES)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return PIECES

    return Workload(lambda: [work(piece) for piece in range(PIECES)] and PIECES, concurrent)


def _count(turns: int) -> int:
    total = 0
    for number in range(turns):
        total += number & 3
    return total


def _compute(piece: int) -> int:
    return _count(15_000)


def _compute_a_little(piece: int) -> int:
    return _count(1_000)


def _hash(piece: int) -> str:
    return hashlib.sha256(_BLOCK).hexdigest()


def _wait(piece: int) -> int:
    time.sleep(0.002)
    return piece


def _wait_and_compute(piece: int) -> int:
    time.sleep(0.001)
    return _count(8_000)


def _wait_and_hash(piece: int) -> str:
    time.sleep(0.001)
    return _hash(piece)


def _locked(turns: int, inside: int) -> Callable[[int], int]:
    lock = threading.Lock()

    def work(piece: int) -> int:
        for _ in range(turns):
            with lock:
                _count(inside)
        return piece

    return work


def _hand_over() -> Workload:
    """Sum numbers, or hand them over to a thread that does."""

    def sequential() -> int:
        return sum(number & 7 for number in range(2_000))

    def concurrent() -> int:
        numbers: queue.Queue[int | None] = queue.Queue(64)
        found = []

        def consume() -> None:
            total = 0
            while (number := numbers.get()) is not None:
                total += number & 7
            found.append(total)

        consumer = threading.Thread(target=consume)
        consumer.start()
        for number in range(2_000):
            numbers.put(number)
        numbers.put(None)
        consumer.join()
        return found[0]

    return Workload(sequential, concurrent)


_BLOCK = bytes(1 << 20)

WORKLOADS: dict[str, Workload] = {
    "compute": _pool(_compute),
    "compute little": _pool(_compute_a_little),
    "hash": _pool(_hash),
    "wait": _pool(_wait),
    "wait, threads": _threads(_wait),
    "wait and compute": _pool(_wait_and_compute),
    "wait and hash": _pool(_wait_and_hash),
    "lock, long inside": _threads(_locked(20, 400)),
    "lock, short inside": _threads(_locked(400, 5)),
    "queue": _hand_over(),
}
