"""What measurements mean for their tests, in words."""

from __future__ import annotations

import pytest
from unit_rounds import rounds

from pytest_concur.measure import judge
from pytest_concur.measure.baselines import Match
from pytest_concur.measure.machine import effective_cores
from pytest_concur.model.measurement import Comparison, Interval
from pytest_concur.session.judging import judge_comparison, judge_load

CPU = {"cpu": "a processor"}


def stored(**how):
    return tuple(judge.session_of(rounds(seed=seed, **how), 10) | CPU for seed in range(5))


def judged(*, match=None, min_speedup=None, cpu=CPU, max_regression=0.15, again=False, **how):
    made = rounds(seed=99, **how)
    estimate = judge.speedup(made)
    comparison = Comparison(
        name="fetch",
        operations=10,
        sequential=judge.arm(made.sequential, made.sequential_processor, 10),
        concurrent=judge.arm(made.concurrent, made.concurrent_processor, 10),
        speedup=estimate,
        verdict=judge.verdict(made, estimate, 2),
        pairs=made.pairs,
        cores=Interval(1.9, 1.8, 2.0),
    )
    return judge_comparison(
        comparison,
        made,
        judge.session_of(made, 10) | cpu,
        Match(stored()) if match is None else match,
        "",
        spec="s",
        max_regression=max_regression,
        min_speedup=min_speedup,
        again=again,
    )


def test_unchanged():
    """Within, with the change and how much it was compared with."""
    found = judged()

    assert found.measured.against.status == "within"
    assert "5 sessions" in found.measured.against.detail
    assert (found.suspect, found.warning, found.inconclusive) == (None, None, "")


def test_regression():
    """The message says by how much, that all of it moved, what sequential code did, and how many cores there were."""
    found = judged(concurrent=0.0075)

    assert found.measured.against.status == "regressed"
    assert found.suspect.kind == "throughput-regression"
    for words in (
        "throughput -34%",
        "2.00x -> 1.33x speedup",
        "middle +51 %",
        "; sequential ",
        "cores 1.9",
        "5 sessions",
    ):
        assert words in found.suspect.summary


def test_regression_again():
    """What would not be one by itself confirms one, and says how much it was this time."""
    assert judged(concurrent=0.0055).suspect is None
    found = judged(concurrent=0.0055, again=True)

    assert found.measured.against.status == "regressed"
    assert found.suspect.amount == "-9%"


def test_sequential_code_got_faster():
    """No regression, and said."""
    found = judged(sequential=0.007)

    assert found.suspect is None
    assert found.measured.against.status == "within"
    assert "sequential code got faster" in found.measured.against.detail


def test_both_sides_got_slower():
    """A message of its own, also as a note; no regression."""
    found = judged(sequential=0.013, concurrent=0.0065)

    assert found.suspect is None
    assert found.measured.against.status == "within"
    assert "the whole workload is slower (+30 %)" in found.measured.against.detail
    assert found.measured.notes


def test_improvement():
    """Improved, with the advice to update."""
    found = judged(concurrent=0.003)

    assert found.measured.against.status == "improved"
    assert "--concur-update-baselines" in found.measured.against.detail


def test_lost_cores_are_inconclusive():
    """A parallel workload without its cores fails nothing, and is no quiet pass."""
    found = judged(concurrent=0.009, cores=1.0)

    assert found.suspect is None
    assert "the cores were not there" in found.inconclusive


def test_another_processor_widens_what_is_tolerated():
    """Slower by a fifth is within on another model, and a regression on the same."""
    assert judged(concurrent=0.006).suspect is not None
    assert judged(concurrent=0.006, cpu={"cpu": "another"}).suspect is None


def test_slow_drift_is_noted():
    """Within the last sessions, and far from the anchor."""
    recent = stored(concurrent=0.0075)
    found = judged(concurrent=0.0076, match=Match(recent, anchor=stored()[2]))

    assert found.suspect is None
    assert "slow drift: +5" in found.measured.notes[0]


@pytest.mark.parametrize(
    ("concurrent", "least", "suspect", "is_open"),
    [(0.005, 1.5, False, False), (0.005, 2.5, True, False), (0.005, 1.99, False, True), (0.02, 1.0, True, False)],
)
def test_min_speedup(concurrent, least, suspect, is_open):
    """Above it passes, below it is a suspect, across it is inconclusive."""
    found = judged(concurrent=concurrent, min_speedup=least, match=Match())

    assert (found.suspect is not None) == suspect
    assert bool(found.inconclusive) == is_open
    if suspect:
        assert found.suspect.kind == "premature-concurrency"
        assert f"min_speedup={least:g}" in found.suspect.summary


def test_min_speedup_without_cores():
    """Where neighbours hold the cores, a moderate loss is inconclusive."""
    if effective_cores() < 2:
        pytest.skip("needs two cores")
    assert judged(concurrent=0.012, cores=1.0, min_speedup=1.0, match=Match()).suspect is None
    assert judged(concurrent=0.05, cores=1.0, min_speedup=1.0, match=Match()).suspect is not None


def test_premature_without_a_condition_is_a_warning():
    """Nobody asked for a speedup."""
    found = judged(concurrent=0.02, match=Match())

    assert found.suspect is None
    assert found.warning.kind == "premature-concurrency"
    assert "2.00x slower than sequential" in found.warning.summary


def test_nothing_to_compare_with():
    """Other sessions, or none: the status says which."""
    assert judged(match=Match(reason="other", is_incomparable=True)).measured.against.status == "incomparable"
    assert judged(match=Match(reason="none")).measured.against.status == "none"


def test_load_without_enough_calls():
    """The tail is not compared, and that is said."""
    from pytest_concur.measure.load import open_loop, summarize

    samples = open_loop(lambda: None, rate=200, seconds=0.3)
    result = summarize(samples, name="load", rate=200)
    found = judge_load(result, samples.windows(), {}, Match(({"tail": 2.0},)), "", spec="s", seed=0)

    assert found.suspect is None
    assert "compared from 3000 calls on, there were 60" in found.measured.against.detail
