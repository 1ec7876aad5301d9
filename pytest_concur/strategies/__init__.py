"""Strategies: who hands out the scheduler of each run.

A ``Strategy`` lives across the runs of one test, a ``Scheduler`` (see :mod:`pytest_concur.model.turn`) for one run. All
are pure: they import only ``model``, know no threads and no clock, and run on any machine that asks them questions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from pytest_concur.strategies.bounded import BoundedStrategy, delays, preemptions
from pytest_concur.strategies.dpor import DPORStrategy
from pytest_concur.strategies.portfolio import Portfolio
from pytest_concur.strategies.samplers import PCTStrategy, POSStrategy, RandomStrategy, SURWStrategy, URWStrategy
from pytest_concur.strategies.strategy import Strategy

DPOR_FIRST = 8
"""Schedules that ``auto`` spends on systematic search before chance gets its turns: small tests end there."""


def auto(seed: int) -> Strategy:
    """Return what serves when the user names no strategy."""
    return Portfolio(DPORStrategy(), *_samplers(seed), first=[0] * DPOR_FIRST, order=[*_ORDER, 0])


def blind(seed: int) -> Strategy:
    """Return what serves where to ask before each operation costs too much, or operations have no places."""
    return Portfolio(PCTStrategy(seed), RandomStrategy(seed + 2))


def sampling(seed: int) -> Strategy:
    """Return what serves where points are left out, so that no search is complete."""
    return Portfolio(*_samplers(seed), order=[place - 1 for place in _ORDER])


_ORDER = [2, 1, 2, 4, 3, 2, 1, 2, 4]
"""Turns of the samplers behind a systematic search: SURW, which is never far from the best, has four of nine."""


def _samplers(seed: int) -> tuple[Strategy, ...]:
    return PCTStrategy(seed), SURWStrategy(seed + 1), RandomStrategy(seed + 2), POSStrategy(seed + 3)


STRATEGIES: dict[str, Callable[[int], Strategy]] = {
    "auto": auto,
    "bounded": lambda seed: Portfolio(BoundedStrategy(delays), BoundedStrategy(preemptions)),
    "dpor": lambda seed: DPORStrategy(),
    "random": RandomStrategy,
    "pct": PCTStrategy,
    "pos": POSStrategy,
    "urw": URWStrategy,
    "surw": SURWStrategy,
}


SYSTEMATIC = frozenset({"bounded", "dpor"})
"""Strategies that go through all schedules one by one."""


class Strategies(NamedTuple):
    """What explores one test. Runs of different sizes teach different things: each size has a strategy of its own."""

    usual: Strategy
    focused: Strategy | None
    """For runs that leave points out, if that makes sense."""

    long: Strategy
    """For runs of many points, all of them kept."""

    def without_operations(self) -> Strategies:
        """Return strategies that never ask before each operation."""
        return Strategies(self.long, self.long, self.long) if self.long is not self.usual else self


def make_strategies(
    name: str, seed: int, *, knows_accesses: bool = True, explores_timeouts: bool = False
) -> Strategies:
    """Return the strategies of that name.

    Args:
        name: One of :data:`STRATEGIES`.
        seed: Of all chance.
        knows_accesses: Operations tell what is accessed; else ``auto`` leaves out who would count on it.
        explores_timeouts: Time-outs may fire early; no systematic search tries that, so ``auto`` leaves those out.

    Raises:
        KeyError: there is none of that name.
    """
    make = STRATEGIES[name]
    if name == "auto" and (explores_timeouts or not knows_accesses):
        make = sampling if knows_accesses else blind
    usual = make(seed)
    if name == "auto":
        return Strategies(usual, sampling(seed + 10), blind(seed + 20))
    # nothing is complete where points are left out
    return Strategies(usual, None if name in SYSTEMATIC else make(seed + 10), usual)
