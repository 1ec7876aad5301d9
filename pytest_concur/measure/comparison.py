"""Measure sequential against concurrent code as long as it takes to judge them, and say why if it does not pay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from statistics import median
from time import perf_counter
from typing import Any

from pytest_concur.measure import judge, machine
from pytest_concur.measure.rounds import LEAST_PAIRS, Rounds, calls_in_a_round, measure
from pytest_concur.measure.scaling import scalability
from pytest_concur.measure.statistics import quantile
from pytest_concur.model.measurement import Arm, Comparison, Contention, Interval, Level, Scalability

NORMAL_PAIRS = 30
"""Pairs of a measurement that cannot pass early; what baselines store."""

LOOK_EVERY = 10
"""Pairs between two looks at a measurement that is undecided after :data:`NORMAL_PAIRS`."""

CURVE_ROUNDS = 7
"""Rounds at each number of workers."""

COMPUTING, SAME_CORE = 0.7, 1.2
"""Cores kept busy from which code computes, and up to which factor more of them are the same one."""

COSTLY = 1.5
"""Processor time per operation, against sequential, from which it explains a loss by itself."""

LockWaits = tuple[float, tuple[Contention, ...], int]
"""Share of the threads' time spent waiting for locks, the locks that cost most, the number of threads."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How one comparison is to be measured."""

    seed: int
    seconds: float
    """Most wall time for the pairs."""

    min_speedup: float | None = None
    may_be_slower: Callable[[Rounds], bool] = lambda rounds: False
    """Whether the stored sessions leave it open that this is a regression."""

    has_full_length: bool = False
    """Measure :data:`NORMAL_PAIRS`, whatever they show: for a baseline."""

    beat: Callable[[], None] = lambda: None
    watch_locks: Callable[[Callable[[], Any]], LockWaits] | None = None


def compare(
    sequential: Callable[[], Any],
    concurrent: Callable[..., Any],
    *,
    name: str,
    operations: int,
    workers: Sequence[int],
    results: tuple[Any, Any],
    plan: Plan,
) -> tuple[Comparison, Rounds]:
    """Measure and judge, within this run.

    Args:
        sequential: Called without arguments.
        concurrent: Called without arguments; with a number of workers if ``workers`` are given.
        name: Of the measurement.
        operations: Operations that one call performs.
        workers: Numbers of workers for the curve; the pairs are measured at the best of them.
        results: What both returned.
        plan: How to measure.
    """
    random = Random(plan.seed)
    curve: tuple[Level, ...] = ()
    law: Scalability | None = None
    side: Callable[[], Any] = concurrent
    if workers:
        curve, law = _curve(sequential, concurrent, operations, workers, random, plan.beat)
        side = partial(concurrent, max(curve, key=lambda level: level.throughput).workers)
    rounds = measure(
        sequential,
        side,
        random=random,
        is_enough=partial(_is_enough, plan),
        seconds=plan.seconds,
        beat=plan.beat,
    )
    estimate = judge.speedup(rounds)
    verdict = judge.verdict(rounds, estimate, machine.effective_cores())
    slow = judge.arm(rounds.sequential, rounds.sequential_processor, operations)
    fast = judge.arm(rounds.concurrent, rounds.concurrent_processor, operations)
    waits: LockWaits | None = None
    if verdict != "pays" and plan.watch_locks is not None and not plan.has_full_length:
        waits = plan.watch_locks(side)
    cores = sorted(rounds.cores)
    comparison = Comparison(
        name=name,
        operations=operations,
        sequential=slow,
        concurrent=fast,
        speedup=estimate,
        verdict=verdict,
        pairs=rounds.pairs,
        cores=Interval(quantile(cores, 0.5), cores[0], cores[-1]),
        explanation="" if verdict == "pays" else explain(slow, fast, waits, has_gil=machine.is_gil_enabled()),
        contention=waits[1] if waits is not None else (),
        lock_wait=waits[0] if waits is not None and waits[2] else None,
        curve=curve,
        scalability=law,
        results=results,
    )
    return comparison, rounds


def _is_enough(plan: Plan, rounds: Rounds) -> bool:
    pairs = rounds.pairs
    if plan.has_full_length:
        return pairs >= NORMAL_PAIRS
    if pairs != LEAST_PAIRS and (pairs < NORMAL_PAIRS or pairs % LOOK_EVERY):
        return False
    estimate = judge.speedup(rounds)
    verdict = judge.verdict(rounds, estimate, machine.effective_cores())
    least = plan.min_speedup
    if pairs < NORMAL_PAIRS:  # what may fail, or warn, is measured in full
        has_passed = verdict in ("pays", "even") and (least is None or estimate.low >= least)
        return has_passed and not plan.may_be_slower(rounds)
    return verdict != "inconclusive" and (least is None or not estimate.low < least <= estimate.high)


def _curve(
    sequential: Callable[[], Any],
    concurrent: Callable[[int], Any],
    operations: int,
    workers: Sequence[int],
    random: Random,
    beat: Callable[[], None],
) -> tuple[tuple[Level, ...], Scalability | None]:
    """Measure throughput at each number of workers, and sequentially, in rounds of random order."""
    sides: dict[int, Callable[[], Any]] = {0: sequential} | {n: partial(concurrent, n) for n in workers}
    calls = {n: calls_in_a_round(side, beat) for n, side in sides.items()}
    rates: dict[int, list[float]] = {n: [] for n in sides}
    for _ in range(CURVE_ROUNDS):
        order = list(sides)
        random.shuffle(order)
        for n in order:
            begin = perf_counter()
            for _ in range(calls[n]):
                sides[n]()
            rates[n].append(operations * calls[n] / (perf_counter() - begin))
            beat()
    alone = median(rates.pop(0))
    levels = tuple(Level(n, median(rates[n]), median(rates[n]) / alone) for n in workers)
    return levels, scalability(rates, random)


def explain(sequential: Arm, concurrent: Arm, waits: LockWaits | None, *, has_gil: bool) -> str:
    """Say what the threads' time goes into, as far as it shows."""
    parts = []
    cost = concurrent.processor / max(sequential.processor, 1e-12)
    computes = sequential.busy > COMPUTING and concurrent.busy < SAME_CORE * sequential.busy
    if waits is not None and waits[1]:
        parts.append(f"{waits[1][0].share:.0%} of thread time is waiting for {waits[1][0].lock}")
    elif has_gil and computes and concurrent.busy > COMPUTING and cost <= COSTLY:
        parts.append("GIL-bound: the threads compute in Python and take turns on one core")
    if cost > COSTLY:
        parts.append(f"each operation takes {cost:.1f}x the processor time")
    return "; ".join(parts)
