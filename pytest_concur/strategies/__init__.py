"""Strategies: who hands out the scheduler of each run.

A ``Strategy`` lives across the runs of one test, a ``Scheduler`` (see :mod:`pytest_concur.model.turn`) for one run. All
are pure: they import only ``model``, know no threads and no clock, and run on any machine that asks them questions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple, Protocol

from pytest_concur.model.schedule import Executed
from pytest_concur.model.turn import Scheduler
from pytest_concur.strategies.bounded import BoundedStrategy, delays, preemptions
from pytest_concur.strategies.dpor import DPORStrategy
from pytest_concur.strategies.pct import DEPTHS, PCT
from pytest_concur.strategies.pos import POS
from pytest_concur.strategies.random_walk import RandomWalk
from pytest_concur.strategies.surw import SURW, Profile
from pytest_concur.strategies.swarm import Swarm
from pytest_concur.strategies.urw import URW, lengths_of


class Seen(Protocol):
    """What a strategy can learn from a run."""

    contested: int
    """Points passed while at least two tasks could run."""

    @property
    def executed(self) -> Executed: ...


class Strategy(Protocol):
    """Across runs: hands out schedulers and learns from what they saw."""

    def scheduler(self, index: int) -> Scheduler:
        """Return the scheduler of schedule number ``index``, from 0; the same for the same index and history."""
        ...

    def sees_operations(self, index: int) -> bool:
        """Whether that scheduler wants to be asked before each operation and to know what each task is about to do."""
        ...

    def learn(self, seen: Seen) -> None:
        """Take note of a finished run, that of the scheduler handed out last."""
        ...

    @property
    def is_exhausted(self) -> bool:
        """Whether nothing is left to hand out."""
        ...

    @property
    def trouble(self) -> str | None:
        """Why an exhausted strategy has not seen every order, if so."""
        ...


class _Endless:
    """What samples by chance is never through."""

    is_exhausted = False
    trouble: str | None = None


class RandomStrategy(_Endless):
    """Random walk: uniform, sticky and with weights in turn."""

    def __init__(self, seed: int) -> None:
        self._seeds = _Seeds(seed)

    def scheduler(self, index: int) -> Scheduler:
        generator = self._seeds.generator(index)
        kind = index % 4
        return Swarm(generator) if kind == 3 else RandomWalk(generator, sticky=kind == 1)

    def sees_operations(self, index: int) -> bool:
        return False

    def learn(self, seen: Seen) -> None:
        pass


class PCTStrategy(_Endless):
    """PCT with cycling depth and learned length."""

    def __init__(self, seed: int) -> None:
        self._seeds = _Seeds(seed)
        self._length = 0

    def scheduler(self, index: int) -> Scheduler:
        return PCT(self._seeds.generator(index), depth=DEPTHS[index % len(DEPTHS)], length=self._length)

    def sees_operations(self, index: int) -> bool:
        return False

    def learn(self, seen: Seen) -> None:
        self._length = max(self._length, seen.contested)


class POSStrategy(_Endless):
    """Partial order sampling."""

    def __init__(self, seed: int) -> None:
        self._seeds = _Seeds(seed)

    def scheduler(self, index: int) -> Scheduler:
        return POS(self._seeds.generator(index))

    def sees_operations(self, index: int) -> bool:
        return True

    def learn(self, seen: Seen) -> None:
        pass


class URWStrategy(_Endless):
    """Uniform random walk, with learned lengths."""

    def __init__(self, seed: int) -> None:
        self._seeds = _Seeds(seed)
        self._lengths: dict[int, int] = {}

    def scheduler(self, index: int) -> Scheduler:
        return URW(self._seeds.generator(index), self._lengths)

    def sees_operations(self, index: int) -> bool:
        return False

    def learn(self, seen: Seen) -> None:
        for task, length in lengths_of(seen.executed).items():
            self._lengths[task] = max(self._lengths.get(task, 0), length)


class SURWStrategy(_Endless):
    """Selectively uniform random walk, with a profile of the schedules before."""

    def __init__(self, seed: int) -> None:
        self._seeds = _Seeds(seed)
        self._profile = Profile()
        self._latest: SURW | None = None

    def scheduler(self, index: int) -> Scheduler:
        self._latest = SURW(self._seeds.generator(index), self._profile)
        return self._latest

    def sees_operations(self, index: int) -> bool:
        return True

    def learn(self, seen: Seen) -> None:
        if self._latest is not None:
            self._latest.finish()
            self._latest = None


class Portfolio:
    """Several strategies in turn, so that a cut by time harms none of them; one that is through hands its turns on.

    If one is through that has seen every order, all are.
    """

    def __init__(self, *parts: Strategy, first: Sequence[int] = (), order: Sequence[int] = ()) -> None:
        """
        Args:
            parts: The strategies.
            first: Whose turn it is at the beginning, by place in ``parts``.
            order: Whose turn it is from then on, over and over; one after the other if not given.
        """
        self._parts = parts
        self._first = list(first)
        self._order = list(order) or list(range(len(parts)))
        self._handed_out = [0] * len(parts)
        self._turn = 0
        self._index = -1
        self._part: Strategy = parts[0]
        self._place = 0

    def scheduler(self, index: int) -> Scheduler:
        self._take_turn(index)
        return self._part.scheduler(self._place)

    def sees_operations(self, index: int) -> bool:
        self._take_turn(index)
        return self._part.sees_operations(self._place)

    def learn(self, seen: Seen) -> None:
        for part in self._parts:
            part.learn(seen)

    @property
    def is_exhausted(self) -> bool:
        return any(part.is_exhausted and part.trouble is None for part in self._parts) or all(
            part.is_exhausted for part in self._parts
        )

    @property
    def trouble(self) -> str | None:
        through = [part.trouble for part in self._parts if part.is_exhausted]
        return None if None in through else next(iter(through), None)

    def _take_turn(self, index: int) -> None:
        """Find out whose turn schedule number ``index`` is, if that is a new one."""
        if index == self._index:
            return
        self._index = index
        while True:
            if self._first:
                place = self._first.pop(0)
            else:
                place = self._order[self._turn % len(self._order)]
                self._turn += 1
            if not self._parts[place].is_exhausted:
                break
        self._part, self._place = self._parts[place], self._handed_out[place]
        self._handed_out[place] += 1


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


class _Seeds:
    """One generator, seeded anew for each schedule, so that schedule ``i`` does not depend on those before it."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._rng = Random()

    def generator(self, index: int) -> Random:
        self._rng.seed(self._seed << 32 | index)
        return self._rng


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
    focused: Strategy
    """For runs that leave points out."""

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
    return Strategies(usual, usual if name in SYSTEMATIC else make(seed + 10), usual)
