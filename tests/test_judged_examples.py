"""The claims about the examples name tests that exist, and are answered by what those tests gave."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
spec = importlib.util.spec_from_file_location("judge_of_examples", EXAMPLES / "judge.py")
judge = importlib.util.module_from_spec(spec)
spec.loader.exec_module(judge)


def test_every_claim_names_a_test():
    """File and function are there, and each row of the article from 1 to 18 is asked about."""
    for claim in judge.read_claims():
        path, _, name = claim["test"].partition("::")
        assert f"def {name.partition('[')[0]}(" in (EXAMPLES / path).read_text(encoding="utf-8"), claim["test"]
        assert claim["says"] in ("premature", "pays", "no gain", "fails", "passes", "green", "report")
    assert {claim["row"] for claim in judge.read_claims()} == set(range(1, 19))


def test_what_is_committed_answers_every_claim():
    """No row of the committed table was left out."""
    text = (EXAMPLES / "RESULTS.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if re.match(r"\| \d+ \|", line)]

    assert len(rows) == len(judge.read_claims())
    assert not [row for row in rows if "not run" in row or "not asked for" in row]


def marked(*kinds):
    return {
        "findings": [{"kind": kind, "warning": False} for kind in kinds],
        "explored": {"schedules": 3},
        "measurements": [],
    }


@pytest.mark.parametrize(
    ("says", "test", "expected"),
    [
        ("passes", marked(), "right"),
        ("passes", marked("deadlock"), "wrong"),
        ("fails", marked("deadlock"), "right"),
        ("fails", marked(), "wrong"),
    ],
)
def test_answers(says, test, expected):
    """What was found decides."""
    assert judge.answer({"test": "t", "says": says}, {"t": test}, {})[1] == expected


@pytest.mark.parametrize(
    ("says", "seen_by", "expected"),
    [
        ("green", {"t": "as claimed"}, ("as claimed", "right")),
        ("green", {"t": None}, ("otherwise", "wrong")),
        ("report", {"t": "7/s"}, ("7/s", "measured")),
        ("report", {}, ("not run", "open")),
    ],
)
def test_answers_of_plain_tests(says, seen_by, expected):
    """Passing is the answer, and what the test recorded."""
    assert judge.answer({"test": "t", "says": says}, {}, seen_by) == expected


@pytest.mark.parametrize(
    ("says", "low", "estimate", "high", "expected"),
    [
        ("premature", 0.4, 0.5, 0.6, "right"),
        ("premature", 0.6, 0.65, 0.7, "open"),
        ("premature", 0.7, 0.75, 0.9, "wrong"),
        ("premature", 1.1, 1.2, 1.3, "wrong"),
        ("pays", 2.0, 3.0, 4.0, "right"),
        ("pays", 1.2, 1.3, 1.4, "right"),
        ("pays", 1.0, 1.1, 1.2, "open"),
        ("pays", 0.9, 1.0, 1.05, "wrong"),
        ("no gain", 0.9, 1.0, 1.1, "right"),
        ("no gain", 1.4, 1.5, 1.6, "open"),
        ("no gain", 2.0, 3.0, None, "wrong"),
    ],
)
def test_claims_about_speed(says, low, estimate, high, expected):
    """A loss is right or wrong beyond a half, whatever side of even a machine falls on; a gain as soon as it is one."""
    assert judge.verdict_on(says, {"low": low, "estimate": estimate, "high": high}) == expected


def test_disagreements():
    """Right here and wrong there is one; open is none."""
    row = "| 3 | threads | faster | seen {} | {} |\n"
    assert judge.disagreements(row.format(1, "right"), row.format(2, "right")) == []
    assert judge.disagreements(row.format(1, "right"), row.format(2, "open")) == []
    [other] = judge.disagreements(row.format(1, "right"), row.format(2, "wrong"))
    assert "was right, is wrong" in other
