"""The reports in README.md are those that pytest prints."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.skipif(sys.version_info[:2] != (3, 13), reason="tokens are those of CPython 3.13")
def test_reports(pytester: pytest.Pytester):
    shown = re.findall(r"```text\n((?:assertion|deadlock): .*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    tests = [re.search(r"examples/\S+", report).group() for report in shown]
    pytester.makeini("[pytest]")
    result = pytester.runpytest_subprocess(
        *(str(ROOT / test) for test in tests), "--runxfail", "-p", "no:cacheprovider", f"--rootdir={ROOT}"
    )
    output = result.stdout.str()

    assert len(shown) == 2
    for report in shown:
        assert report.strip() in output
