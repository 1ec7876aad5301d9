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
    assert not [row for row in rows if "not run" in row]


def marked(*kinds, verdict=None, summary="x: pays: 2x"):
    return {
        "findings": [{"kind": kind, "warning": False} for kind in kinds],
        "explored": {"schedules": 3},
        "measurements": [{"verdict": verdict, "summary": summary}] if verdict else [],
    }


@pytest.mark.parametrize(
    ("says", "test", "expected"),
    [
        ("passes", marked(), "right"),
        ("passes", marked("deadlock"), "wrong"),
        ("fails", marked("deadlock"), "right"),
        ("fails", marked(), "wrong"),
        ("pays", marked(verdict="pays"), "right"),
        ("pays", marked(verdict="premature"), "wrong"),
        ("premature", marked(verdict="even"), "wrong"),
        ("no gain", marked(verdict="even"), "right"),
        ("pays", marked(verdict="inconclusive"), "open"),
    ],
)
def test_answers(says, test, expected):
    """Right, wrong, or open where it is inconclusive."""
    assert judge.answer({"test": "t", "says": says}, {"t": test}, {})[1] == expected


def test_disagreements():
    """Right here and wrong there is one; open is none."""
    row = "| 3 | threads | faster | seen {} | {} |\n"
    assert judge.disagreements(row.format(1, "right"), row.format(2, "right")) is None
    assert judge.disagreements(row.format(1, "right"), row.format(2, "open")) is None
    assert "was right, is wrong" in judge.disagreements(row.format(1, "right"), row.format(2, "wrong"))
