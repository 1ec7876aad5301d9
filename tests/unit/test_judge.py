"""Verdicts on made-up rounds: what is slower, what only looks so, and what cannot be told."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from random import Random

import pytest
from unit_rounds import rounds

from pytest_concur.measure import judge


def session(**how):
    return judge.session_of(rounds(**how), 10)


BASELINE = [session(seed=seed) for seed in range(5)]


def shift(**how):
    return judge.shift(session(seed=99, **how), BASELINE, least_effect=0.15)


def verdict(made, cores=2):
    return judge.verdict(made, judge.speedup(made), cores)


@pytest.mark.parametrize(
    ("concurrent", "expected"),
    [(0.005, "pays"), (0.0085, "pays"), (0.010, "even"), (0.013, "premature"), (0.05, "premature")],
)
def test_verdict(concurrent, expected):
    """More than 10 % faster pays, more than 10 % slower is premature."""
    assert verdict(rounds(concurrent=concurrent)) == expected


def test_verdict_between():
    """What straddles the border is inconclusive, not rounded to a side."""
    assert verdict(rounds(concurrent=0.0091)) == "inconclusive"


@pytest.mark.parametrize(
    ("concurrent", "expected"), [(0.010, "inconclusive"), (0.015, "inconclusive"), (0.025, "premature")]
)
def test_lost_cores_explain_a_loss_up_to_twice(concurrent, expected):
    """With one of two cores there, only what is more than twice as slow is called premature."""
    assert verdict(rounds(concurrent=concurrent, cores=1.0)) == expected
    assert verdict(rounds(concurrent=0.005, cores=1.0)) == "pays"


def test_neighbours_alone_make_nothing_premature():
    """Most of the concurrent rounds take half as long again, the others do not: no verdict against the code."""
    assert verdict(rounds(concurrent=0.010, disturbed=0.6)) == "inconclusive"


def test_speedup():
    """The estimate is the ratio of the sides, the interval holds it."""
    found = judge.speedup(rounds(concurrent=0.004))

    assert found.low < 2.5 < found.high
    assert found.estimate == pytest.approx(2.5, rel=0.01)


def test_unchanged_is_no_regression():
    """200 fresh sessions of the same: none is slower, as no session moves all of its distribution by 15 %."""
    shifts = [judge.shift(session(seed=seed), BASELINE, least_effect=0.15) for seed in range(100, 300)]

    assert not any(each.is_slower() for each in shifts)


@pytest.mark.parametrize("factor", [1.25, 1.5, 2.0])
def test_slower_concurrent_code_is_a_regression(factor):
    """The whole distribution shifts, against sequential code and against the calibration loop."""
    assert shift(concurrent=0.005 * factor).is_slower()


def test_disturbed_rounds_are_no_regression():
    """The slow side of the distribution moves, the fast side does not."""
    assert not shift(disturbed=0.7).is_slower()


def test_faster_sequential_code_is_no_regression():
    """Sequential code got 30 % faster: relative to it concurrent code is slower, calibrated it is not."""
    found = shift(sequential=0.007)

    assert not found.is_slower()
    assert found.is_slower_relatively()
    assert not found.is_slower_altogether()


def test_both_slower_is_a_message_of_its_own():
    """Both sides got 30 % slower: concurrency is not the cause."""
    found = shift(sequential=0.013, concurrent=0.0065)

    assert not found.is_slower()
    assert found.is_slower_altogether()


def test_slower_machine_is_nothing():
    """All three got slower alike."""
    found = shift(sequential=0.02, concurrent=0.01, calibration=0.002)

    assert not found.is_slower()
    assert not found.is_slower_altogether()


def test_improvement():
    """A third faster, in all of the distribution."""
    assert shift(concurrent=0.0033).is_faster()
    assert not shift().is_faster()


def test_lost_cores():
    """A parallel workload on one core of two, or on one now and then, cannot be judged; what never used two can."""
    assert shift(cores=1.0, concurrent=0.009).has_lost_cores()
    sometimes = rounds(seed=99, concurrent=0.009)
    sometimes.cores[:5] = [1.0] * 5
    assert judge.shift(judge.session_of(sometimes, 10), BASELINE, least_effect=0.15).has_lost_cores()
    assert not shift(concurrent=0.009).has_lost_cores()
    assert not shift(cores=1.0, concurrent=0.012).has_lost_cores(), "twice as long is the most that one core explains"
    idle = [judge.session_of(rounds(seed=seed, busy=0.3), 10) for seed in range(5)]
    today = judge.session_of(rounds(seed=99, busy=0.3, cores=1.0), 10)
    assert not judge.shift(today, idle, least_effect=0.15).has_lost_cores()


def test_sessions_that_differ_widen_what_is_tolerated():
    """A test that differs by half from session to session does not alarm at 20 %; a steady one does."""
    unsteady = [session(seed=seed, concurrent=0.005 * factor) for seed, factor in enumerate([1, 1.5, 1.2, 1.6, 1.05])]
    today = session(seed=99, concurrent=0.006 * 1.2)

    assert not judge.shift(today, unsteady, least_effect=0.15).is_slower()
    assert shift(concurrent=0.005 * 1.2).is_slower()


def test_fewer_sessions_count_only_with_what_is_tolerated_anyway():
    """One stored session says nothing of the spread."""
    one = judge.shift(session(seed=99), BASELINE[:1], least_effect=0.15)

    assert list(one.tolerated.values()) == [pytest.approx(1.15)] * 9


def test_disagreement():
    """A session that would be a regression against the others is no baseline; neither are cores that come and go."""
    assert judge.disagreement(BASELINE) == ""
    assert "session 5 of 5" in judge.disagreement([*BASELINE[:4], session(seed=9, concurrent=0.008)])
    assert "cores" in judge.disagreement([*BASELINE[:4], session(seed=9, cores=1.2)])


def test_what_is_stored_is_short():
    """A session is a line of at most 500 characters."""
    import json

    assert len(json.dumps(session())) < 500


def windows(tail, *, count=4000, seed=0):
    random = Random(seed)
    calls = [0.001 * (1 + random.random() / 10) * (tail if random.random() < 0.02 else 1) for _ in range(count)]
    return [calls[at : at + count // 20] for at in range(0, count, count // 20)]


def test_longer_tail():
    """Twice as long is reported, as it was before is not, and neither is anything on few calls."""
    stored = [{"tail": judge._tail_of(sorted(chain.from_iterable(windows(5, seed=seed))))} for seed in range(5)]

    assert judge.tail(windows(12, seed=9), stored, Random(0)).is_longer()
    assert not judge.tail(windows(5, seed=9), stored, Random(0)).is_longer()
    assert judge.tail(windows(12, count=1000), stored, Random(0)).today is None
    assert not judge.tail(windows(12, count=1000), stored, Random(0)).is_longer()


def test_measuring_goes_on_while_it_may_be_slower():
    """Half of what is tolerated is worth more pairs, an eighth if it was slower before."""
    assert shift(concurrent=0.005 * 1.1).may_be_slower()
    little = shift(concurrent=0.005 * 1.04)

    assert not little.may_be_slower()
    assert little.may_be_slower(again=True)
    assert not shift().may_be_slower(again=True)


def test_less_confirms_on_a_calm_machine():
    """Measured again, a quarter of what is tolerated is enough; where cores came and went or may have, it is not."""
    one_core = [session(seed=seed, cores=1.0) for seed in range(5)]
    today = session(seed=99, concurrent=0.005 * 1.1, cores=1.0)

    assert shift(concurrent=0.005 * 1.07).is_slower(again=True)
    assert not shift(concurrent=0.005 * 1.02).is_slower(again=True)
    assert not shift(concurrent=0.005 * 1.1, cores=1.0).is_slower(again=True)
    assert shift(concurrent=0.005 * 1.25, cores=1.0).is_slower(again=True)
    assert not judge.shift(today, one_core, least_effect=0.15).is_slower(again=True)


def test_a_shift_is_a_value():
    """It can be asked with other tolerances."""
    found = shift(concurrent=0.005 * 1.1)

    assert not found.is_slower()
    assert replace(found, tolerated=dict.fromkeys(found.tolerated, 1.01)).is_slower()
