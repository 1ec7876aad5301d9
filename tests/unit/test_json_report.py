"""The file for machines: what is in it is described, and what is described is in it."""

from __future__ import annotations

import re
from pathlib import Path

from pytest_concur.model.verdict import Finding, TestResult, Uncontrolled
from pytest_concur.report.json_report import as_dict

PAGE = (Path(__file__).parents[2] / "docs" / "json.md").read_text(encoding="utf-8")
FOUND = Finding("assertion", "it failed", 3, "c1", 1, "reachable", report="it failed\n\nreplay: …")


def described(table: str) -> set[str]:
    """The keys in the first column of a table, whose head begins so."""
    rows = PAGE.partition(f"| {table} |")[2].partition("\n\n")[0].splitlines()[2:]
    return {key for row in rows for key in re.findall(r"`(\w+)`", row.split("|")[1])}


def test_every_key_is_described():
    entry = as_dict(TestResult("test_a.py::test_b", findings=[FOUND]))

    assert described("key of a test") == entry.keys()
    assert described("key of a finding") == entry["findings"][0].keys()
    assert described("key of `explored`") == entry["explored"].keys()


def test_the_reason_is_that_of_an_inconclusive_test():
    result = TestResult("test_a.py::test_b", uncontrolled=[Uncontrolled("socket.recv", "client.py:12")])
    result.is_step_limited = True

    assert as_dict(result)["reason"].startswith(
        "socket.recv at client.py:12 was outside control; a run reached max_steps"
    )

    result.findings.append(FOUND)

    assert as_dict(result)["reason"] == ""
