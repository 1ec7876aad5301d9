"""What a test asks to be measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pytest_concur.errors import ConcurrencyUsageError, ResultsDiffer
from pytest_concur.measure.baselines import spec_of
from pytest_concur.measure.load import Samples, closed_loop, open_loop

SHOWN = 200
"""Characters of a result that a message shows."""


@dataclass(frozen=True, slots=True)
class Comparing:
    """A sequential and a concurrent function that do the same."""

    sequential: Callable[[], Any]
    concurrent: Callable[..., Any]
    operations: int
    workers: tuple[int, ...]
    name: str | None

    def __post_init__(self) -> None:
        for role in ("sequential", "concurrent"):
            _check_function(f"concur.compare({role}=…)", getattr(self, role))
        _check(type(self.operations) is int and self.operations > 0, "compare", "operations", self.operations,
               "an integer of at least 1: how many operations one call performs")  # fmt: skip
        _check(all(type(n) is int and n > 0 for n in self.workers), "compare", "workers", self.workers,
               "a list of integers of at least 1")  # fmt: skip
        _check_name("compare", self.name)

    @property
    def spec(self) -> str:
        return spec_of(kind="compare", operations=self.operations, workers=list(self.workers))

    def run_once(self) -> tuple[Any, Any]:
        """Run both sides and return what they gave.

        Raises:
            ResultsDiffer: it was not equal.
        """
        expected = self.sequential()
        actual = None
        for number in self.workers or (None,):
            actual = self.concurrent() if number is None else self.concurrent(number)
            if not _are_equal(expected, actual):
                workers = "" if number is None else f" with {number} workers"
                raise ResultsDiffer(
                    f"concur.compare: the results differ{workers}\n"
                    f"  sequential: {_shown(expected)}\n  concurrent: {_shown(actual)}"
                )
        return expected, actual


MOST_USERS = 2_000


@dataclass(frozen=True, slots=True)
class Loading:
    """A handler, and the load it is to bear."""

    function: Callable[[], Any]
    users: int | None
    rate: float | None
    seconds: float
    in_flight: int
    name: str | None

    def __post_init__(self) -> None:
        _check_function("concur.load", self.function)
        if (self.users is None) == (self.rate is None):
            raise ConcurrencyUsageError(
                "concur.load takes either users= (a closed loop: so many threads call without a pause) "
                f"or rate= (an open loop: so many calls a second); got users={self.users!r}, rate={self.rate!r}"
            )
        if self.users is not None:
            allowed = f"an integer from 1 to {MOST_USERS}: a closed loop has a thread for each; rate= drives more"
            is_allowed = type(self.users) is int and 0 < self.users <= MOST_USERS
            _check(is_allowed, "load", "users", self.users, allowed)
        if self.rate is not None:
            _check(_is_positive(self.rate), "load", "rate", self.rate, "calls a second, a number greater than 0")
        _check(_is_positive(self.seconds), "load", "seconds", self.seconds, "a number greater than 0")
        _check(type(self.in_flight) is int and self.in_flight > 0, "load", "in_flight", self.in_flight,
               "an integer of at least 1: most calls at the same time in an open loop")  # fmt: skip
        _check_name("load", self.name)

    @property
    def spec(self) -> str:
        return spec_of(kind="load", users=self.users, rate=self.rate, seconds=self.seconds, in_flight=self.in_flight)

    def run(self) -> Samples:
        """Drive the handler."""
        if self.rate is not None:
            return open_loop(self.function, rate=self.rate, seconds=self.seconds, in_flight=self.in_flight)
        assert self.users is not None, "a load has users or a rate"
        return closed_loop(self.function, users=self.users, seconds=self.seconds)


def _are_equal(expected: Any, actual: Any) -> bool:
    try:
        return bool(expected == actual)
    except Exception as error:
        raise ConcurrencyUsageError(
            f"concur.compare cannot tell whether the results are equal: comparing {type(expected).__name__} with "
            f"{type(actual).__name__} raised {type(error).__name__}: {error}\n"
            "  return something that compares by ==, such as a list"
        ) from error


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}… ({len(text)} characters)"


def _check_function(call: str, function: Any) -> None:
    if not callable(function):
        raise ConcurrencyUsageError(f"{call} takes a function, got {function!r}; pass the function, not its result")


def _check_name(call: str, name: Any) -> None:
    if name is not None:
        _check(type(name) is str and bool(name.strip()), call, "name", name, "a text that is not empty")


def _check(is_right: bool, call: str, argument: str, value: Any, allowed: str) -> None:
    if not is_right:
        raise ConcurrencyUsageError(f"concur.{call} got {argument}={value!r}\n  allowed: {allowed}")


def _is_positive(value: Any) -> bool:
    return type(value) in (int, float) and 0 < value < float("inf")
