"""The one table of options: marker, command line, environment, ini, defaults and docs come from it."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_concur.errors import ConcurrencyUsageError

STRATEGY_NAMES = ("auto", "random", "pct", "pos", "urw", "surw", "dpor", "bounded")


@dataclass(frozen=True, slots=True)
class Option:
    """One setting of a marked test."""

    name: str
    parse: Callable[[str], Any]
    """Reads the text of the command line, the environment or the ini file; raises ``ValueError``."""

    check: Callable[[Any], bool]
    allowed: str
    """What is allowed, for messages and docs."""

    default: Any
    help: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Resolved:
    """The settings of one test and where each came from."""

    values: Mapping[str, Any]
    sources: Mapping[str, str]

    def __getattr__(self, name: str) -> Any:
        try:
            return self.values[name]
        except KeyError:
            raise AttributeError(name) from None


def _is_int(low: int | None) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and (low is None or value >= low)


def _is_positive(value: Any) -> bool:
    return type(value) in (int, float) and value > 0 and value < float("inf")


def _one_of(*names: str) -> Callable[[Any], bool]:
    return lambda value: type(value) is str and value in names


def _is_names(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(each, str) and each for each in value)


def _parse_bool(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered in ("1", "true", "yes", "on"):
        return True
    if lowered in ("0", "false", "no", "off"):
        return False
    raise ValueError(text)


def _parse_names(text: str) -> list[str]:
    return [name for name in text.replace(",", " ").split() if name]


def _number(name: str, low: int | None, default: Any, help: str) -> Option:
    allowed = "an integer" if low is None else f"an integer of at least {low}"
    return Option(name, int, _is_int(low), allowed, default, help)


def _positive(name: str, default: Any, help: str) -> Option:
    return Option(name, float, _is_positive, "a number greater than 0", default, help)


def _choice(name: str, choices: tuple[str, ...], default: str, help: str) -> Option:
    return Option(name, str, _one_of(*choices), "one of " + ", ".join(choices), default, help, choices)


def _flag(name: str, default: bool | None, help: str) -> Option:
    return Option(name, _parse_bool, lambda value: type(value) is bool, "true or false", default, help)


OPTIONS: tuple[Option, ...] = (
    _number("threads", 1, None, "run the test's body in so many threads at once"),
    _number("schedules", 1, 1000, "most controlled schedules"),
    _positive("seconds", 2.0, "most wall time spent exploring one test, minimization not counted"),
    _choice("strategy", STRATEGY_NAMES, "auto", "who chooses the next task"),
    _number("seed", None, None, "seed of all chance; derived from the node id if not given"),
    _choice("granularity", ("access", "gil", "sync"), "access", "where a switch may happen"),
    Option("scope", _parse_names, _is_names, "a list of module names", (), "more modules to instrument"),
    _choice("outcome", ("serial", "any"), "serial", "must outcomes equal one of the sequential ones"),
    _choice("data_races", ("error", "warn", "ignore"), "warn", "unordered conflicting accesses"),
    _choice(
        "lock_order",
        ("error", "warn", "ignore"),
        "warn",
        "locks taken in opposite orders in some schedule",
    ),
    _choice("timeouts", ("last", "explore"), "last", "may a time-out fire although others can run"),
    _number("max_steps", 1, 20_000, "scheduling points per run before it counts as endless"),
    _number("stress", 0, 0, "rounds in real threads that run freely, behind the controlled ones"),
    _flag("baseline", True, "compare what is measured with stored sessions, and let them be written"),
    _positive("max_regression", 0.15, "relative slowdown tolerated against the baseline"),
    _positive("min_speedup", None, "least concurrent throughput divided by sequential throughput"),
    _positive("measure_seconds", 3.0, "most wall time for the rounds of one comparison"),
    _flag("fresh_fixtures", True, "set function-scoped fixtures up anew for every run"),
)
BY_NAME = {option.name: option for option in OPTIONS}


def resolve(
    marker: Mapping[str, Any],
    command_line: Callable[[str], Any],
    ini: Callable[[str], Any],
    *,
    test: str,
) -> Resolved:
    """Return the settings of a test: marker beats command line beats environment beats ini beats default.

    Raises:
        ConcurrencyUsageError: a name, type or value is wrong.
    """
    for name in marker:
        if name not in BY_NAME:
            raise ConcurrencyUsageError(
                f"{test}: @pytest.mark.concurrency has no argument {name!r}\n"
                f"  known arguments: {', '.join(sorted(BY_NAME))}{_closest(name, tuple(BY_NAME))}"
            )
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for option in OPTIONS:
        value, source = _find(option, marker, command_line, ini, test)
        values[option.name], sources[option.name] = value, source
    if (values["strategy"], values["granularity"]) == ("dpor", "gil"):
        raise ConcurrencyUsageError(
            f"{test}: strategy='dpor' ({sources['strategy']}) needs to see each shared access, and granularity='gil' "
            f"({sources['granularity']}) has none\n  take granularity='access' or 'sync', or strategy='bounded'"
        )
    return Resolved(values, sources)


REPLAYED = (
    "threads", "granularity", "scope", "outcome", "data_races", "lock_order", "timeouts", "max_steps", "fresh_fixtures",
)  # fmt: skip
"""Settings that decide whether a schedule can be run again, and what it shows."""


def flags_to_replay(resolved: Resolved) -> tuple[str, ...]:
    """Return the options with which a replay gets those settings that stand neither in the code nor in a file."""
    return tuple(
        f"{flag_of(BY_NAME[name])}={_as_text(resolved.values[name])}"
        for name in REPLAYED
        if resolved.sources[name] in ("command line", "environment")
    )


def _as_text(value: Any) -> str:
    return ",".join(value) if isinstance(value, list | tuple) else str(value)


def check(option: Option, value: Any, where: str) -> Any:
    """Return ``value`` if it is allowed.

    Raises:
        ConcurrencyUsageError: it is not; the message names place, value, what is allowed and the closest name.
    """
    if not option.check(value):
        hint = _closest(value, option.choices) if isinstance(value, str) else ""
        raise ConcurrencyUsageError(f"{where} got {option.name}={value!r}\n  allowed: {option.allowed}{hint}")
    return value


def parse(option: Option, text: str, where: str) -> Any:
    """Read a setting from text and check it."""
    try:
        value = option.parse(text)
    except ValueError:
        value = text
    return check(option, value, where)


def environment_name(option: Option) -> str:
    return f"CONCUR_{option.name.upper()}"


def flag_of(option: Option) -> str:
    return f"--concur-{option.name.replace('_', '-')}"


def _find(
    option: Option, marker: Mapping[str, Any], command_line: Callable[[str], Any], ini: Callable[[str], Any], test: str
) -> tuple[Any, str]:
    if option.name in marker:
        return check(option, marker[option.name], f"{test}: @pytest.mark.concurrency"), "marker"
    if (text := command_line(option.name)) is not None:
        return parse(option, text, flag_of(option)), "command line"
    if text := os.environ.get(environment_name(option), ""):
        return parse(option, text, f"environment variable {environment_name(option)}"), "environment"
    if text := ini(option.name):
        return parse(option, text, f"ini file: concur_{option.name}"), "ini"
    return option.default, "default"


def _closest(name: str, known: tuple[str, ...]) -> str:
    found = difflib.get_close_matches(name, known, n=1)
    return f"   (did you mean {found[0]!r}?)" if found else ""
