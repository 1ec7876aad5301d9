"""What the measuring tests of a session share."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pytest_concur.model.verdict import TestResult
from pytest_concur.session.measured_session import MeasuredSession, options_to_pass_on


def session(**options):
    return MeasuredSession(SimpleNamespace(getoption=lambda name, default=None: options.get(name, default)))


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (["-n", "2", "tests/test_a.py", "-x"], []),
        (["-n2", "-p", "xdist.plugin", "-c", "other.ini"], ["-p", "xdist.plugin", "-c", "other.ini"]),
        (["-nauto", "-k", "a or b", "--myopt=1"], ["--myopt=1"]),
        (["--concur-update-baselines=replace", "--concur-measure-seconds=1"], ["--concur-measure-seconds=1"]),
        (["--concur-json", "x.json", "--cov=pkg", "--rootdir", "."], ["--rootdir", "."]),
        (["-no-such-short", "--durations=3", "-m", "slow"], ["-no-such-short"]),
    ],
)
def test_options_for_fresh_processes(given, kept):
    """Settings are passed on; what chooses tests, spreads them or writes reports is not."""
    assert options_to_pass_on(given, ["tests/test_a.py"]) == kept


@pytest.mark.parametrize(
    ("suspects", "others", "is_machine"), [(3, 0, False), (4, 0, True), (4, 15, True), (4, 16, False), (10, 30, True)]
)
def test_many_suspects_are_the_machine(suspects, others, is_machine):
    """At least four, and more than a fifth of what was compared."""
    shared = session()
    for number in range(suspects + others):
        shared.note_compared(f"test_{number}", number < suspects)

    assert shared.is_machine_event() == is_machine


def test_a_test_is_postponed_once():
    """Not twice, not where a debugger would stop at it, and not where another plugin reports it."""
    result = TestResult("test_a")
    shared, debugged, foreign = session(), session(usepdb=True), session()
    shared.protocol_of = debugged.protocol_of = "test_a"

    assert shared.postpone(result, [])
    assert shared.postponed("test_a").result is result
    assert not shared.postpone(result, [])
    assert not debugged.postpone(result, [])
    assert not foreign.postpone(result, [])
