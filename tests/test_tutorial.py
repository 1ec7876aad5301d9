"""The blocks of docs/tutorial.md run, and give what the text says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TUTORIAL = Path(__file__).parent.parent / "docs" / "tutorial.md"


def blocks():
    text = TUTORIAL.read_text(encoding="utf-8")
    return dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", text, flags=re.DOTALL))


def test_every_block_is_a_file():
    """No block is left out of the test below."""
    assert TUTORIAL.read_text(encoding="utf-8").count("```python") == len(blocks())


def test_tutorial(pytester: pytest.Pytester):
    """All tests pass but the one that the text says fails, for the reason that it gives."""
    for name, text in blocks().items():
        (pytester.path / name).write_text(text)

    result = pytester.runpytest_subprocess("--concur-seconds=30", "--concur-schedules=60", "-p", "no:cacheprovider")

    result.assert_outcomes(passed=5, failed=1)
    output = result.stdout.str()
    assert "FAILED test_fast_prices.py::test_each_supplier_is_asked_once" in output
    assert "wrote" in output
    assert "asking_at_once: pays" in output
    assert "adding_up_at_once: premature" in output
