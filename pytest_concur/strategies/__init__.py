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
from pytest_concur.strategies.reversal import ReversalStrategy
from pytest_concur.strategies.samplers import PCTStrategy, POSStrategy, RandomStrategy, SURWStrategy, URWStrategy
from pytest_concur.strategies.strategy import Strategy

DPOR_FIRST = 8
"""Schedules that ``auto`` spends on going through all orders before others get their turns: small tests end there."""


def auto(seed: int) -> Strategy:
    """Return what serves when the user names no strategy."""
    order = [_SURW, _REVERSAL, _SURW, _POS, _REVERSAL, _SURW, _PCT, _SURW, _REVERSAL, _RANDOM, _DPOR]
    return Portfolio(*_parts(seed), DPORStrategy(), first=[_DPOR] * DPOR_FIRST, order=order)


def focused(seed: int) -> Strategy:
    """Return what serves where points are left out, so that no search is complete; such tests are large."""
    order = [_REVERSAL, _SURW, _REVERSAL, _POS, _REVERSAL, _SURW, _REVERSAL, _PCT, _REVERSAL, _RANDOM]
    return Portfolio(*_parts(seed), order=order)


def blind(seed: int) -> Strategy:
    """Return what serves where to ask before each operation costs too much, or operations have no places."""
    return Portfolio(PCTStrategy(seed), RandomStrategy(seed + 2))


def sampling(seed: int) -> Strategy:
    """Return what serves where time-outs fire early, which no systematic search tries."""
    return Portfolio(*_parts(seed), order=[_SURW, _PCT, _SURW, _POS, _RANDOM, _SURW, _PCT, _SURW, _POS])


_PCT, _SURW, _RANDOM, _POS, _REVERSAL, _DPOR = range(6)


def _parts(seed: int) -> tuple[Strategy, ...]:
    return (
        PCTStrategy(seed),
        SURWStrategy(seed + 1),
        RandomStrategy(seed + 2),
        POSStrategy(seed + 3),
        ReversalStrategy(),
    )


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
        return Strategies(self.long, self.long, self.long)


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
    if name == "auto":
        usual = blind if not knows_accesses else sampling if explores_timeouts else auto
        leaving_out = sampling if explores_timeouts else focused
        return Strategies(usual(seed), leaving_out(seed + 10), blind(seed + 20))
    all_points = make(seed)
    # nothing is complete where points are left out
    return Strategies(all_points, None if name in SYSTEMATIC else make(seed + 10), all_points)
