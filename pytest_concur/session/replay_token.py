"""What can be wrong with a replay token: before anything runs, and after its schedule was followed."""

from __future__ import annotations

from pytest_concur.explore.trial import Trial
from pytest_concur.instrument.interpreter import VERSION
from pytest_concur.model.schedule import Token, TokenError, decode, digest
from pytest_concur.options import Resolved


def problem_of(text: str, nodeid: str, options: Resolved) -> str | None:
    """Say why a token cannot be replayed for a test, if so."""
    try:
        token = decode(text)
    except TokenError as error:
        remedy = "copy the whole token from the last line of the failure report"
        return f"{text!r} is no replay token: {error}\n  {remedy}"
    if token.test != digest(nodeid):
        return (
            "the token is of another test: diverged before the first step\n"
            "  give the node id that stands in the report's last line"
        )
    if token.python != VERSION:
        made, here = (".".join(map(str, version)) for version in (token.python, VERSION))
        return (
            f"diverged before the first step: the token was made on CPython {made}, this is {here}\n"
            f"  schedules count bytecode, so run it on {made}"
        )
    if token.granularity != options.granularity or token.timeouts != options.timeouts:
        return (
            "diverged before the first step: the token was made with "
            f"granularity={token.granularity!r}, timeouts={token.timeouts!r}\n  run it with the same"
        )
    return None


def divergence(token: Token, trial: Trial) -> str | None:
    """Say where a replay left its schedule, if it did."""
    sites = [digest(site, 16) for site in trial.record.sites]
    for step, (expected, site) in enumerate(zip(token.sites, sites, strict=False), 1):
        if expected != site:
            return f"first at switch {step}: it now comes at {trial.record.sites[step - 1]}, which is another place"
    if token.schedule.segments != tuple(trial.record.segments):
        pairs = zip(token.schedule.segments, trial.record.segments, strict=False)
        steps = min(len(token.schedule.segments), len(trial.record.segments))
        step = next((i for i, (old, new) in enumerate(pairs, 1) if old != new), steps + 1)
        names = ", ".join(f"task {s.task}" for s in trial.record.segments[step - 1 : step]) or "nobody"
        return f"first at step {step}, where {names} ran in another way than recorded"
    return None
