"""Measure two functions in turns: rounds in pairs, in random order, with a look at the machine in each pair.

What the machine does to both sides of a pair cancels. A calibration loop tells how fast the interpreter was just then,
a probe how many cores were really there.

Source of the design: Bulej et al., "Duet Benchmarking", ICPE 2020; Abedi, Brecht, "Conducting Repeatable Experiments in
Highly Variable Cloud Computing Environments" (randomized multiple interleaved trials), ICPE 2017.
Departure: the sides of a pair run one after the other, since the concurrent side wants all cores.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from time import perf_counter, process_time
from typing import Any

from pytest_concur.measure import machine

LEAST_ROUND_S = 0.010
"""A round is repeated calls that take at least so long together: a neighbour's burst falls into one round."""

WARM_UP_PAIRS = 3
LEAST_PAIRS = 15
MOST_PAIRS = 100


@dataclass(slots=True)
class Rounds:
    """What was measured, pair by pair; all times in seconds."""

    sequential: list[float] = field(default_factory=list)
    """Wall time of one call, by round."""

    concurrent: list[float] = field(default_factory=list)
    calibration: list[float] = field(default_factory=list)
    cores: list[float] = field(default_factory=list)
    sequential_processor: float = 0.0
    """Processor time of all sequential rounds divided by their calls."""

    concurrent_processor: float = 0.0
    sequential_calls: int = 1
    """Calls in a round."""

    concurrent_calls: int = 1

    @property
    def pairs(self) -> int:
        return len(self.sequential)


def calls_in_a_round(function: Callable[[], Any], beat: Callable[[], None]) -> int:
    """Return how many calls of ``function`` take at least :data:`LEAST_ROUND_S`."""
    calls = 1
    while True:
        seconds, _ = _round(function, calls)
        beat()
        if seconds >= LEAST_ROUND_S:
            return calls
        calls = max(calls + 1, min(calls * 10, int(1.2 * calls * LEAST_ROUND_S / max(seconds, 1e-9)) + 1))


def measure(
    sequential: Callable[[], Any],
    concurrent: Callable[[], Any],
    *,
    random: Random,
    is_enough: Callable[[Rounds], bool],
    seconds: float,
    beat: Callable[[], None] = lambda: None,
) -> Rounds:
    """Measure both functions in pairs of rounds.

    Args:
        sequential: Called without arguments, again and again.
        concurrent: The same.
        random: Decides which side of a pair comes first.
        is_enough: Asked after each pair from :data:`LEAST_PAIRS` on; true ends the measurement.
        seconds: Wall time after which it ends, but not before :data:`LEAST_PAIRS` unless three times that has passed.
        beat: Called after each round.

    Raises:
        Exception: what a function raises.
    """
    begin = perf_counter()
    cores = machine.effective_cores()
    rounds = Rounds(
        sequential_calls=calls_in_a_round(sequential, beat), concurrent_calls=calls_in_a_round(concurrent, beat)
    )
    for _ in range(WARM_UP_PAIRS):
        _pair(rounds, sequential, concurrent, random, beat)
    warm_up = perf_counter() - begin
    gc.collect()
    measured = Rounds(sequential_calls=rounds.sequential_calls, concurrent_calls=rounds.concurrent_calls)
    begin = perf_counter()
    while measured.pairs < MOST_PAIRS:
        measured.calibration.append(machine.calibrate())
        measured.cores.append(machine.probe_parallelism(cores))
        _pair(measured, sequential, concurrent, random, beat)
        passed = perf_counter() - begin + warm_up
        if measured.pairs >= LEAST_PAIRS and (passed >= seconds or is_enough(measured)):
            break
        if passed >= 3 * seconds and measured.pairs > 1:
            break
    measured.sequential_processor /= measured.pairs * measured.sequential_calls
    measured.concurrent_processor /= measured.pairs * measured.concurrent_calls
    return measured


def _pair(
    rounds: Rounds,
    sequential: Callable[[], Any],
    concurrent: Callable[[], Any],
    random: Random,
    beat: Callable[[], None],
) -> None:
    for is_sequential in (True, False) if random.random() < 0.5 else (False, True):
        if is_sequential:
            wall, processor = _round(sequential, rounds.sequential_calls)
            rounds.sequential.append(wall / rounds.sequential_calls)
            rounds.sequential_processor += processor
        else:
            wall, processor = _round(concurrent, rounds.concurrent_calls)
            rounds.concurrent.append(wall / rounds.concurrent_calls)
            rounds.concurrent_processor += processor
        beat()


def _round(function: Callable[[], Any], calls: int) -> tuple[float, float]:
    """Return wall time and the process's processor time of so many calls."""
    processor, begin = process_time(), perf_counter()
    for _ in range(calls):
        function()
    return perf_counter() - begin, process_time() - processor
