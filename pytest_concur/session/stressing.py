"""Stress rounds of one test: when, how long, and what they mean for it."""

from __future__ import annotations

from pytest_concur.errors import Hung
from pytest_concur.explore.failure import Failure
from pytest_concur.explore.stress import Stressed, stress
from pytest_concur.explore.trial import Laboratory
from pytest_concur.model.verdict import Finding, TestResult, Uncontrolled
from pytest_concur.session.patience import Patience

ROUNDS_UNASKED = 10
SECONDS_UNASKED = 0.5
"""What a test gets of which a part was outside control, if it asks for no rounds."""

LIMIT_S, LIMIT_UNASKED_S = 20.0, 5.0
"""Seconds after which a round counts as hanging."""


def stress_test(lab: Laboratory, result: TestResult, *, rounds: int, seconds: float, seed: int) -> None:
    """Run the rounds and note what they show.

    Args:
        lab: Runs the body.
        result: Of the test.
        rounds: That the test asks for; 0 if it does not.
        seconds: That there are until its time-out.
        seed: Of all chance.

    Raises:
        BaseException: what a round raised, or what ends the test as it is.
    """
    asked = rounds > 0
    with Patience(min(LIMIT_S if asked else LIMIT_UNASKED_S, seconds), "the test") as patience:
        try:
            stressed = stress(
                lab,
                rounds=rounds or ROUNDS_UNASKED,
                seconds=seconds if asked else min(seconds, SECONDS_UNASKED),
                seed=seed,
                beat=patience.beat,
            )
        except Hung as error:
            result.uncontrolled.append(Uncontrolled(f"a stress round was given up: {error}", result.nodeid))
            result.explored.complete_over = ""
            return
    result.explored.stress_rounds = stressed.rounds
    if stressed.passing is not None:
        raise stressed.passing
    if stressed.failure is not None:
        result.findings.append(_finding(result.nodeid, stressed, stressed.failure, seed))
        raise stressed.failure.error
    if stressed.rounds < rounds:
        result.notes.append(f"{stressed.rounds} of {rounds} stress rounds were run: the test's time-out is near")


def _finding(nodeid: str, stressed: Stressed, failure: Failure, seed: int) -> Finding:
    how = (
        f"seen in stress round {stressed.rounds} (real threads, seed {seed}, switch interval "
        f"{1e6 * stressed.interval_s:g} us), in no controlled schedule: none replays it"
    )
    return Finding(
        kind=failure.kind,
        summary=failure.summary,
        schedule=0,
        token="",
        preemptions=0,
        gil=None,
        report=f"{failure.kind}: {nodeid}\n  {failure.summary}\n\n  {how}",
    )
