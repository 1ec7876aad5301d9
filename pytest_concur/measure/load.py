"""Drive a handler under load and time it.

Closed loop: each of ``users`` threads calls again as soon as its last call returned. A stall then delays the next call
instead of being seen by it, so what is measured is service time. Open loop: calls are due at a fixed rate whatever
happens, and latency counts from when a call was due: no coordinated omission.

Source: Tene, "How NOT to Measure Latency" (2013), and his wrk2; Schroeder, Wierman, Harchol-Balter, "Open Versus
Closed: A Cautionary Tale", NSDI 2006.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from time import perf_counter, sleep
from typing import Any

from pytest_concur.measure.statistics import quantile_interval, samples_needed
from pytest_concur.model.measurement import LADDER, Load, Percentile

CONFIDENCE = 0.95
"""Of the interval of a percentile."""

IN_FLIGHT = 32
"""Most calls of an open loop at the same time."""

LATE_S = 0.001
"""A call that begins so long after it was due is a late start."""

MOST_OVERTIME = 2.0
"""An open loop that cannot keep up ends at so many times the seconds asked for, with calls not made."""

KEPT_UP = 0.98
"""Part of the asked rate below which an open loop counts as saturated."""

WINDOWS = 20
"""Parts of a run that are resampled as wholes."""


@dataclass(slots=True)
class Samples:
    """What the threads noted, in seconds from the beginning of the run; latencies in order of their starts."""

    starts: array[float]
    """When each call began, or was due in an open loop."""

    latencies: array[float]
    services: array[float]
    """From the actual start on."""

    elapsed: float

    def windows(self) -> list[list[float]]:
        """Return the latencies in :data:`WINDOWS` parts of equal time, empty ones left out."""
        parts: list[list[float]] = [[] for _ in range(WINDOWS)]
        for start, latency in zip(self.starts, self.latencies, strict=True):
            parts[min(WINDOWS - 1, int(WINDOWS * start / self.elapsed))].append(latency)
        return [part for part in parts if part]


def closed_loop(function: Callable[[], Any], *, users: int, seconds: float) -> Samples:
    """Call ``function`` from ``users`` threads without a pause.

    Raises:
        Exception: what the function raised first; the load ends with it.
    """

    def user(notes: _Notes, begin: float, failed: threading.Event) -> None:
        end = begin + seconds
        start = perf_counter()
        while start < end and not failed.is_set():
            function()
            now = perf_counter()
            notes.add(start - begin, now - start, now - start)
            start = now

    return _drive(user, users)


def open_loop(function: Callable[[], Any], *, rate: float, seconds: float, in_flight: int = IN_FLIGHT) -> Samples:
    """Call ``function`` ``rate`` times a second, on time as long as fewer than ``in_flight`` calls are going on.

    What was due and could not be called in time is called late, for as long again as the load was to last.

    Raises:
        Exception: what the function raised first; the load ends with it.
    """
    numbers = count()
    calls = max(1, round(rate * seconds))

    def worker(notes: _Notes, begin: float, failed: threading.Event) -> None:
        while (number := next(numbers)) < calls and not failed.is_set():
            due = begin + number / rate
            if (early := due - perf_counter()) > 0:
                sleep(early)
            start = perf_counter()
            if start > begin + MOST_OVERTIME * seconds and notes.starts:
                break
            function()
            now = perf_counter()
            notes.add(due - begin, now - due, now - start)

    return _drive(worker, min(in_flight, calls))


def summarize(
    samples: Samples,
    *,
    name: str,
    users: int | None = None,
    rate: float | None = None,
) -> Load:
    """Return the figures of a run; give ``users`` or ``rate`` as in the run."""
    latencies, services = sorted(samples.latencies), sorted(samples.services)
    achieved = len(latencies) / samples.elapsed
    waits = zip(samples.latencies, samples.services, strict=True)
    return Load(
        name=name,
        model="closed" if rate is None else "open",
        throughput=achieved,
        count=len(latencies),
        percentiles=percentiles(latencies),
        longest=latencies[-1],
        service=percentiles(services) if rate is not None else (),
        late_starts=sum(latency - service > LATE_S for latency, service in waits),
        asked_rate=rate,
        is_saturated=rate is not None and len(latencies) > 1 and _rate_kept(samples) < KEPT_UP * rate,
        users=users,
    )


def percentiles(ordered: Sequence[float]) -> tuple[Percentile, ...]:
    """Return the ladder of quantiles of ordered samples."""
    return tuple(
        Percentile(share, quantile_interval(ordered, share, CONFIDENCE), samples_needed(share, CONFIDENCE))
        for share in LADDER
    )


def _rate_kept(samples: Samples) -> float:
    """Return the rate at which calls ended, from the first due one on."""
    ended = max(start + latency for start, latency in zip(samples.starts, samples.latencies, strict=True))
    return len(samples.starts) / max(ended, samples.starts[-1])


@dataclass(slots=True)
class _Notes:
    """What one thread saw; nobody else writes here, so that noting takes no lock."""

    starts: array[float]
    latencies: array[float]
    services: array[float]

    def add(self, start: float, latency: float, service: float) -> None:
        self.starts.append(start)
        self.latencies.append(latency)
        self.services.append(service)


def _drive(work: Callable[[_Notes, float, threading.Event], None], threads: int) -> Samples:
    """Run ``work`` in so many threads that begin together, and put together what they noted."""
    notes = [_Notes(array("d"), array("d"), array("d")) for _ in range(threads)]
    failed, errors = threading.Event(), list[BaseException]()
    gate = threading.Barrier(threads + 1)
    begin = 0.0

    def body(mine: _Notes) -> None:
        try:
            gate.wait()
            work(mine, begin, failed)
        except BaseException as error:
            errors.append(error)
            failed.set()

    running = [
        threading.Thread(target=body, args=(mine,), name=f"load {i + 1}", daemon=True) for i, mine in enumerate(notes)
    ]
    try:
        for thread in running:
            thread.start()
        begin = perf_counter() + 0.001
        gate.wait()
        for thread in running:
            thread.join()
    except BaseException:  # interrupted: the load must not go on behind the tests that follow
        failed.set()
        gate.abort()
        raise
    if errors:
        raise errors[0]
    calls = sorted(call for mine in notes for call in zip(mine.starts, mine.latencies, mine.services, strict=True))
    starts, latencies, services = (array("d", column) for column in zip(*calls, strict=True))
    return Samples(starts, latencies, services, perf_counter() - begin)
