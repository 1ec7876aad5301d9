"""``--concur-json``: verdicts and findings for machines."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from pytest_concur.model.verdict import TestResult

SCHEMA = 1


def as_dict(result: TestResult) -> dict[str, Any]:
    """Return one test's entry."""
    explored = result.explored
    return {
        "nodeid": result.nodeid,
        "verdict": result.verdict,
        "expected": result.is_expected,
        "findings": [
            {
                "kind": finding.kind,
                "summary": finding.summary,
                "schedule": finding.schedule,
                "token": finding.token,
                "preemptions": finding.preemptions,
                "gil": finding.gil,
                "sequential": finding.sequential,
                "warning": finding.is_warning,
                "report": finding.report,
            }
            for finding in result.findings
        ],
        "explored": {
            "schedules": explored.schedules,
            "complete": explored.complete,
            "complete_over": explored.complete_over or None,
            "strategy": explored.strategy,
            "seed": explored.seed,
            "seconds": round(explored.seconds, 4),
            "runs": explored.runs,
            "switches": explored.switches,
            "stress_rounds": explored.stress_rounds,
        },
        "reason": result.reason,
        "uncontrolled": [{"what": each.what, "where": each.where} for each in result.uncontrolled],
        "notes": list(result.notes),
        "measures": result.measures,
        "unmeasured": list(result.unmeasured),
        "not_measured_under_xdist": result.is_left_unmeasured,
        "measurements": _measurements(result),
    }


def _measurements(result: TestResult) -> list[dict[str, Any]]:
    if not result.measured:
        return []
    from pytest_concur.report import measurement  # most tests measure nothing

    return [measurement.as_dict(each) for each in result.measured]


def write(path: Path, tests: list[dict[str, Any]]) -> None:
    """Write the report; readers see the old file or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"schema": SCHEMA, "tests": sorted(tests, key=lambda test: test["nodeid"])}, indent=1) + "\n"
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
