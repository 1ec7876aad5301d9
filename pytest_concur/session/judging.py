"""What a measurement means for its test: a suspect, a warning, nothing; in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from pytest_concur.errors import (
    ConcurrencyFailure,
    LatencyRegressionFound,
    PrematureConcurrencyFound,
    ThroughputRegressionFound,
)
from pytest_concur.measure import judge
from pytest_concur.measure.baselines import Match
from pytest_concur.measure.machine import effective_cores
from pytest_concur.measure.rounds import Rounds
from pytest_concur.model.measurement import AgainstBaseline, Comparison, Load, Measured
from pytest_concur.model.verdict import Kind
from pytest_concur.report.measurement import speedup_text

ANCHOR_TOLERANCE = 2.0
"""Slow drift is mentioned when the slowdown against the anchor is so many times what is tolerated at once."""

RAISED: dict[Kind, type[ConcurrencyFailure]] = {
    "premature-concurrency": PrematureConcurrencyFound,
    "throughput-regression": ThroughputRegressionFound,
    "latency-regression": LatencyRegressionFound,
}


@dataclass(frozen=True, slots=True)
class Suspect:
    """A measurement that fails the test if it comes out like this again."""

    kind: Kind
    name: str
    summary: str
    amount: str
    """How bad it is, in short."""

    before: tuple[str, ...] = ()
    """The same of the measurements that this one confirms."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One measurement and what it means for the test."""

    measured: Measured
    spec: str
    suspect: Suspect | None = None
    inconclusive: str = ""
    """Why nothing can be said where something might be wrong."""

    warning: Suspect | None = None


def judge_comparison(
    result: Comparison,
    rounds: Rounds,
    session: dict[str, Any],
    match: Match,
    match_problem: str,
    *,
    spec: str,
    max_regression: float,
    min_speedup: float | None,
    again: bool,
) -> Judged:
    """Say what a comparison means for its test; ``again``: it was a suspect when it was measured before."""
    least = min_speedup
    against = AgainstBaseline("incomparable" if match.is_incomparable else "none", match_problem)
    suspect: Suspect | None = None
    warning: Suspect | None = None
    inconclusive = ""
    notes: tuple[str, ...] = ()
    if match.sessions:
        if any(each.get("cpu") != session.get("cpu") for each in match.sessions):
            max_regression = max(max_regression, judge.OTHER_MODEL_EFFECT)
        shift = judge.shift(session, match.sessions, least_effect=max_regression)
        is_slower = shift.is_slower(again=again)
        against, notes = _against(shift, is_slower, match, session, max_regression)
        if is_slower:
            if shift.has_lost_cores():
                inconclusive = f"{against.detail}; but the cores were not there: neighbours may be the cause"
                against = AgainstBaseline("within", inconclusive)
            else:
                suspect = Suspect(
                    "throughput-regression", result.name, _regression(result, shift, match), f"-{_loss(shift):.0%}"
                )
    if least is not None and result.speedup.high < least:
        summary = _premature(result, least)
        if judge.has_too_few_cores(rounds, effective_cores()) and result.speedup.high >= judge.BEYOND_NEIGHBOURS:
            inconclusive = f"{summary}; but the cores were not there: neighbours may be the cause"
        else:
            suspect = suspect or Suspect("premature-concurrency", result.name, summary, _times(result))
    elif least is not None and result.speedup.low < least:
        inconclusive = inconclusive or (
            f"{result.name}: {speedup_text(result.speedup)}: too wide to tell whether it is at least "
            f"{least:g}x as asked"
        )
    elif least is None and result.verdict == "premature":
        warning = Suspect("premature-concurrency", result.name, _premature(result, None), _times(result))
    return Judged(Measured(result, against, notes, session), spec, suspect, inconclusive, warning)


def judge_load(
    result: Load,
    windows: Sequence[Sequence[float]],
    session: dict[str, Any],
    match: Match,
    match_problem: str,
    *,
    spec: str,
    seed: int,
) -> Judged:
    """Say what a load means for its test; ``seed``: of the bootstrap."""
    against = AgainstBaseline("incomparable" if match.is_incomparable else "none", match_problem)
    suspect: Suspect | None = None
    inconclusive = f"{result.name}: the load generator was saturated" if result.is_saturated else ""
    if match.sessions:
        tail = judge.tail(windows, match.sessions, Random(seed))
        if tail.today is None:
            detail = f"the tail is compared from {judge.LEAST_TAIL_CALLS} calls on, there were {result.count}"
            against = AgainstBaseline("none", detail)
        elif not tail.stored:
            against = AgainstBaseline("none", "the stored sessions are too short to compare the tail")
        else:
            now, then = tail.today, max(tail.stored)
            detail = f"p99 is {now.estimate:.1f}x the median ({now.low:.1f}-{now.high:.1f}); at most {then:.1f}x before"
            is_longer = tail.is_longer() and not result.is_saturated
            against = AgainstBaseline("regressed" if is_longer else "within", detail)
            if is_longer:
                amount = f"p99 {now.estimate:.1f}x"
                suspect = Suspect("latency-regression", result.name, f"{result.name}: {detail}", amount)
    return Judged(Measured(result, against, (), session), spec, suspect, inconclusive)


def _against(
    shift: judge.Shift, is_slower: bool, match: Match, session: dict[str, Any], max_regression: float
) -> tuple[AgainstBaseline, tuple[str, ...]]:
    """Return what the shift against the stored sessions says, and what is worth a note."""
    change = shift.to_sequential["median"]
    calibrated = _percent(shift.to_calibration["median"])
    detail = f"{_percent(change)} against sequential, {calibrated} calibrated, {len(match.sessions)} sessions"
    notes: tuple[str, ...] = ()
    if match.anchor is not None and not is_slower:
        drift = judge.shift(session, [match.anchor], least_effect=ANCHOR_TOLERANCE * max_regression)
        if drift.is_slower():
            notes = (
                f"slow drift: {_percent(drift.to_sequential['median'])} since the baseline was last replaced; "
                "look for a cause, or accept it with --concur-update-baselines=replace",
            )
    if is_slower:
        return AgainstBaseline("regressed", detail), notes
    if shift.is_faster():
        return AgainstBaseline("improved", f"{detail}; consider --concur-update-baselines"), notes
    if shift.is_slower_altogether():
        detail = (
            f"the whole workload is slower ({_percent(shift.to_calibration['median'])}), sequential code alike: "
            "concurrency is not the cause"
        )
        return AgainstBaseline("within", detail), (*notes, detail)
    if shift.is_slower_relatively():
        detail += "; sequential code got faster, concurrent code did not get slower"
    return AgainstBaseline("within", detail), notes


def _regression(result: Comparison, shift: judge.Shift, match: Match) -> str:
    then = sorted(session["speedup"][1] for session in match.sessions)[len(match.sessions) // 2]
    to_sequential = shift.to_sequential
    return (
        f"{result.name}: concurrent throughput -{_loss(shift):.0%} "
        f"({then:.2f}x -> {result.speedup.estimate:.2f}x speedup), "
        f"the whole distribution shifted: tenth {_percent(to_sequential['q10'])}, "
        f"quarter {_percent(to_sequential['q25'])}, middle {_percent(to_sequential['median'])}; "
        f"sequential {_percent(shift.sequential['median'])}; "
        f"cores {result.cores.estimate:.1f} of {effective_cores()}; baseline of {len(match.sessions)} sessions"
    )


def _premature(result: Comparison, least: float | None) -> str:
    asked = f"; min_speedup={least:g}" if least is not None else ""
    why = f"; {result.explanation}" if result.explanation else ""
    return f"{result.name}: concurrent code is {speedup_text(result.speedup)}{asked}{why}"


def _loss(shift: judge.Shift) -> float:
    """Return the part of concurrent throughput, relative to sequential code, that is lost."""
    return 1 - 1 / shift.to_sequential["median"]


def _times(result: Comparison) -> str:
    return f"{result.speedup.estimate:.2f}x"


def _percent(factor: float) -> str:
    """Return a factor of time as a change: ``+27 %`` is slower."""
    return f"{100 * (factor - 1):+.0f} %"
