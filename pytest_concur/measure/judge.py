"""Judge what was measured: does concurrency pay, and is it slower than the stored sessions say?

Within a run: the speedup is the Hodges-Lehmann estimate of the log ratios of blocks of pairs, with a signed-rank
interval. It is called slower only if nearly all pairs say so: the tenth, the quarter and the middle of their ratios.
Noise moves some pairs, a change of the code moves all.

Against stored sessions: slower if tenth, quarter and middle of the pairs' ratios are, of concurrent rounds to
sequential ones and of concurrent rounds to the calibration loop, by more than what is tolerated and by more than
sessions differ anyway. One that is slower only against one of the two is explained by the other side. What was slower
is measured again: on a calm machine a quarter of the difference confirms it; where neighbours came and went, only the
whole does, and nothing a slowdown of parallel code.

Quantiles of ratios, not ratios of quantiles: what the machine does to a whole pair, such as a higher clock rate for
some seconds, cancels. On recorded sessions of an unquiet machine this noticed slowdowns of 50 % three times as often
as fastest, tenth and middle rounds of each side, both without a false alarm (``tests/benchmarks/alarms.py``).

Pure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from statistics import median
from typing import Any

from pytest_concur.measure.rounds import Rounds
from pytest_concur.measure.statistics import bootstrap_interval, prediction_bound, quantile, signed_rank_interval
from pytest_concur.model.measurement import Arm, Interval, Load, Spread, Verdict

CONFIDENCE = 0.998
"""Of the interval of a speedup: two hundred tests give one wrong interval in two runs and a half."""

MOST_BLOCKS = 20
WORTH = 1.10
"""A speedup must be above this to pay, below its inverse to be premature."""

CORES_PRESENT = 0.7
"""Part of the cores that the probe must find, in the middle, for a loss to be the code's."""

BEYOND_NEIGHBOURS = 0.5
"""Speedup below which lost cores are no explanation."""

SHARES = {"q10": 0.1, "q25": 0.25, "median": 0.5}
"""The quantiles of pairs' ratios that must all be slower."""

PREDICTED = 0.90
"""Confidence of each of the six prediction intervals; all six, three times, must be exceeded."""

LEAST_SESSIONS = 5
"""Stored sessions from which on their own spread counts."""

PRIOR_DEVIATION, PRIOR_WEIGHT = 0.03, 6
PARALLEL = 1.2
"""Cores kept busy from which a workload counts as parallel."""

DISAGREEMENT = 0.15
LOST_CORES = 0.20
"""Part of the cores, against the stored sessions, that is gone where they are lost."""

EARLY = 0.5
"""Part of the slowdown looked for below which more pairs would not show it."""

CONFIRMING = 0.25
"""Part of what is tolerated that confirms a slowdown on a calm machine: what the same code does by chance, it seldom
does three times in a row to the same side."""

OTHER_MODEL_EFFECT = 0.25
"""Least slowdown that counts when the stored sessions come from another processor model."""


def spread(values: Sequence[float]) -> Spread:
    """Summarize rounds."""
    ordered = sorted(values)
    return Spread(ordered[0], *(quantile(ordered, share) for share in (0.1, 0.25, 0.5, 0.9)))


def arm(values: Sequence[float], processor: float, operations: int) -> Arm:
    """Summarize one side; ``processor``: seconds per call."""
    call = spread(values)
    wall = sum(values) / len(values)
    return Arm(call, operations / call.median, processor / operations, processor / wall)


def speedup(rounds: Rounds) -> Interval:
    """Return concurrent throughput divided by sequential throughput."""
    ratios = [math.log(s / c) for s, c in zip(rounds.sequential, rounds.concurrent, strict=True)]
    size = -(-len(ratios) // MOST_BLOCKS)
    blocks = [median(ratios[at : at + size]) for at in range(0, len(ratios) - size + 1, size)]
    found = signed_rank_interval(blocks, CONFIDENCE)
    return Interval(math.exp(found.estimate), math.exp(found.low), _exp(found.high))


def verdict(rounds: Rounds, estimate: Interval, cores: int) -> Verdict:
    """Say whether concurrency pays, on a machine of so many cores.

    Where neighbours held some of them, what pays all the same pays; a loss must be too large to be their doing.
    """
    if estimate.low > WORTH:
        return "pays"
    lost = has_too_few_cores(rounds, cores)
    if estimate.high < (BEYOND_NEIGHBOURS if lost else 1) and is_all_slower(rounds, WORTH):
        return "premature"
    if not lost and estimate.low > 1 / WORTH and estimate.high < WORTH:
        return "even"
    return "inconclusive"


def has_too_few_cores(rounds: Rounds, cores: int) -> bool:
    """Whether the probe found clearly fewer cores than the machine has."""
    return cores > 1 and median(rounds.cores) < CORES_PRESENT * cores


def is_all_slower(rounds: Rounds, factor: float) -> bool:
    """Whether nearly all concurrent rounds are slower by ``factor`` than the sequential ones beside them."""
    return min(ratios(rounds.concurrent, rounds.sequential)) > factor


def ratios(above: Sequence[float], below: Sequence[float]) -> tuple[float, ...]:
    """Return the quantiles :data:`SHARES` of the ratios of rounds of the same pair."""
    ordered = sorted(a / b for a, b in zip(above, below, strict=True))
    return tuple(quantile(ordered, share) for share in SHARES.values())


@dataclass(frozen=True, slots=True)
class Shift:
    """One measurement against the stored sessions, as factors of time: above 1 is slower."""

    to_sequential: Mapping[str, float]
    """Concurrent rounds relative to sequential ones, by name of the quantile."""

    to_calibration: Mapping[str, float]
    sequential: Mapping[str, float]
    """Sequential rounds relative to the calibration loop."""

    tolerated: Mapping[tuple[str, str], float]
    """Factor up to which a difference is no finding, by names of the relation and the quantile."""

    was_parallel: bool

    cores_then: float
    """Cores that the probe found."""

    is_calm: bool
    """The cores were there for nearly all pairs, as far as a probe can tell: not where there is one only."""

    def is_slower(self, *, again: bool = False) -> bool:
        """Whether nearly all pairs are slower by more than what is tolerated.

        Args:
            again: It was slower before; on a calm machine less confirms that.
        """
        return self._exceeds(CONFIRMING if again and self.is_calm else 1)

    def may_be_slower(self, *, again: bool = False) -> bool:
        """Whether more pairs might still show it to be slower, so that measuring goes on."""
        return self._exceeds(EARLY * (CONFIRMING if again else 1))

    def _exceeds(self, part: float) -> bool:
        return all(
            math.log(getattr(self, relation)[name]) > part * math.log(self.tolerated[relation, name])
            for relation in ("to_sequential", "to_calibration")
            for name in SHARES
        )

    def is_faster(self) -> bool:
        return all(
            math.log(getattr(self, relation)[name]) < -math.log(self.tolerated[relation, name])
            for relation in ("to_sequential", "to_calibration")
            for name in SHARES
        )

    def is_slower_relatively(self) -> bool:
        """Whether it is slower than the sequential rounds say; without the calibration loop, they may have improved."""
        return all(
            math.log(self.to_sequential[name]) > math.log(self.tolerated["to_sequential", name]) for name in SHARES
        )

    def is_slower_altogether(self) -> bool:
        """Whether both sides are slower than the calibration loop says, alike."""
        return all(
            math.log(getattr(self, relation)[name]) > math.log(self.tolerated[relation, name])
            for relation in ("sequential", "to_calibration")
            for name in SHARES
        )

    def has_lost_cores(self) -> bool:
        """Whether a workload that used several cores did not get them all the time, and that may explain it all.

        All of the work on one core takes as many times as long as there were cores.
        """
        beyond = self.to_sequential["median"] / self.tolerated["to_sequential", "median"]
        return self.was_parallel and not self.is_calm and beyond < self.cores_then


def session_of(rounds: Rounds, operations: int) -> dict[str, Any]:
    """Return what is stored of a measurement: times in milliseconds per call, and ratios; four digits."""
    sequential = arm(rounds.sequential, rounds.sequential_processor, operations)
    concurrent = arm(rounds.concurrent, rounds.concurrent_processor, operations)
    found = speedup(rounds)
    cores = sorted(rounds.cores)
    return {
        "n": rounds.pairs,
        "seq": _stored(spread(rounds.sequential)),
        "conc": _stored(spread(rounds.concurrent)),
        "cal": _stored(spread(rounds.calibration)),
        "to_sequential": [_digits(each) for each in ratios(rounds.concurrent, rounds.sequential)],
        "to_calibration": [_digits(each) for each in ratios(rounds.concurrent, rounds.calibration)],
        "sequential": [_digits(each) for each in ratios(rounds.sequential, rounds.calibration)],
        "cores": [_digits(quantile(cores, 0.1)), _digits(quantile(cores, 0.5))],
        "busy": _digits(concurrent.busy),
        "cpu_per_op_ratio": _digits(concurrent.processor / max(sequential.processor, 1e-12)),
        "speedup": [_digits(each) for each in (found.low, found.estimate, found.high)],
    }


def shift(today: Mapping[str, Any], sessions: Sequence[Mapping[str, Any]], *, least_effect: float) -> Shift:
    """Compare a session with stored ones.

    Args:
        today: See :func:`session_of`.
        sessions: At least one, of the same environment.
        least_effect: Relative slowdown that is tolerated in any case, such as 0.15.
    """
    factors: dict[str, dict[str, float]] = {}
    tolerated: dict[tuple[str, str], float] = {}
    for relation in ("to_sequential", "to_calibration", "sequential"):
        factors[relation] = {}
        for place, name in enumerate(SHARES):
            stored = [math.log(session[relation][place]) for session in sessions]
            factors[relation][name] = math.exp(math.log(today[relation][place]) - median(stored))
            bound = math.log1p(least_effect)
            if len(stored) >= LEAST_SESSIONS:
                predicted = prediction_bound(
                    stored, PREDICTED, prior_deviation=PRIOR_DEVIATION, prior_weight=PRIOR_WEIGHT
                )
                bound = max(bound, predicted)
            tolerated[relation, name] = math.exp(bound)
    cores = median(session["cores"][1] for session in sessions)
    return Shift(
        to_sequential=factors["to_sequential"],
        to_calibration=factors["to_calibration"],
        sequential=factors["sequential"],
        tolerated=tolerated,
        was_parallel=median(session["busy"] for session in sessions) > PARALLEL,
        cores_then=cores,
        is_calm=cores > PARALLEL and today["cores"][0] > (1 - LOST_CORES) * cores,
    )


def disagreement(sessions: Sequence[Mapping[str, Any]]) -> str:
    """Say why sessions measured one after the other cannot be a baseline; empty if they can.

    One of them that would be a regression against the others was disturbed.
    """
    for place, session in enumerate(sessions):
        others = [*sessions[:place], *sessions[place + 1 :]]
        if others and "conc" in session and shift(session, others, least_effect=DISAGREEMENT).is_slower():
            return f"session {place + 1} of {len(sessions)} was slower than the others by more than {DISAGREEMENT:.0%}"
    busy = [session["busy"] for session in sessions if "busy" in session]
    cores = [session["cores"][1] for session in sessions if "cores" in session]
    if busy and median(busy) > PARALLEL and min(cores) < (1 - LOST_CORES) * median(cores):
        return f"cores came and went: the probe found between {min(cores):.1f} and {max(cores):.1f}"
    return ""


def speedup_of(sessions: Sequence[Mapping[str, Any]]) -> float | None:
    """Return the middle speedup of stored sessions, if they are of a comparison."""
    found = [session["speedup"][1] for session in sessions if "speedup" in session]
    return median(found) if found else None


def _stored(values: Spread) -> list[float]:
    return [_digits(1e3 * each) for each in (values.fastest, values.q10, values.q25, values.median, values.q90)]


def _digits(value: float) -> float:
    return float(f"{value:.4g}")


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf


@dataclass(frozen=True, slots=True)
class Tail:
    """The tail of a handler's latency against the stored sessions; values are p99 divided by the median."""

    today: Interval | None
    """``None`` if there are too few calls to compare."""

    stored: tuple[float, ...]

    def is_longer(self, least_factor: float = 1.5) -> bool:
        """Whether it is longer than in every stored session, for certain, and much longer than in the middle one."""
        if self.today is None or not self.stored:
            return False
        return self.today.low > max(self.stored) and self.today.estimate > least_factor * median(self.stored)


LEAST_TAIL_CALLS = 3000
"""Calls below which the tail is not compared: stalls come in bursts."""


def tail(windows: Sequence[Sequence[float]], sessions: Sequence[Mapping[str, Any]], random: Random) -> Tail:
    """Compare the tail of latencies, in windows of time, with stored sessions."""
    stored = tuple(session["tail"] for session in sessions if session.get("tail") is not None)
    if sum(map(len, windows)) < LEAST_TAIL_CALLS:
        return Tail(None, stored)
    return Tail(bootstrap_interval(windows, _tail_of, 0.99, random=random), stored)


def load_session(windows: Sequence[Sequence[float]], load: Load) -> dict[str, Any]:
    """Return what is stored of a load: latencies in milliseconds, four digits."""
    latencies = sorted(latency for window in windows for latency in window)
    ladder = {
        f"p{100 * each.share:g}": None if each.interval is None else _digits(1e3 * each.interval.estimate)
        for each in load.percentiles
    }
    return {
        "n": load.count,
        "throughput": _digits(load.throughput),
        "latency": ladder,
        "max": _digits(1e3 * load.longest),
        "tail": _digits(_tail_of(latencies)) if load.count >= LEAST_TAIL_CALLS else None,
    }


def _tail_of(ordered: list[float]) -> float:
    return quantile(ordered, 0.99) / quantile(ordered, 0.5)
